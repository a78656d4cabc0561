package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// portsFile holds, in the state folder, where proxies listen for each inference
// route: an Envoy that serves on is found there by the next run, though the
// manifests may name another port by then.
const portsFile = "ports.json"

// readPorts gives what the run before has left; nothing where there was none.
func readPorts(folder string) (xds.Formers, error) {
	path := filepath.Join(folder, portsFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return xds.Formers{}, nil
	}
	if err != nil {
		return nil, err
	}
	var saved map[string][]xds.Former
	if err := json.Unmarshal(data, &saved); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ports := xds.Formers{}
	for route, list := range saved {
		namespace, name, _ := strings.Cut(route, "/")
		ports[config.Key{Namespace: namespace, Name: name}] = list
	}
	return ports, nil
}

// keepPorts replaces the file in one step.
func (p *plane) keepPorts(ports xds.Formers) {
	saved := map[string][]xds.Former{}
	for k, list := range ports {
		saved[k.String()] = list
	}
	path := filepath.Join(p.folder.Dir, portsFile)
	data, err := json.Marshal(saved)
	if err == nil {
		err = os.WriteFile(path+".half", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".half", path)
	}
	if err != nil {
		p.log.Error("where proxies listen is not saved; after a restart a port that was edited meanwhile closes at once", "error", err)
	}
}
