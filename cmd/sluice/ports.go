package main

import (
	"encoding/json"
	"errors"
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

// readPorts gives what the run before has left; nothing where there was none, or what
// it left cannot be read: inference routes are served all the same.
func (p *plane) readPorts() xds.Formers {
	path := filepath.Join(p.folder.Dir, portsFile)
	var saved map[string][]xds.Former
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return xds.Formers{}
	case err == nil:
		err = json.Unmarshal(data, &saved)
	}
	if err != nil {
		p.log.Error("where proxies listened is not known; a port that was edited meanwhile closes at once", "file", path, "error", err)
		return xds.Formers{}
	}
	ports := xds.Formers{}
	for route, list := range saved {
		namespace, name, _ := strings.Cut(route, "/")
		ports[config.Key{Namespace: namespace, Name: name}] = list
	}
	return ports
}

// keepPorts leaves them for the next run.
func (p *plane) keepPorts(ports xds.Formers) {
	saved := map[string][]xds.Former{}
	for k, list := range ports {
		saved[k.String()] = list
	}
	data, err := json.Marshal(saved)
	if err == nil {
		err = replaceFile(filepath.Join(p.folder.Dir, portsFile), data)
	}
	if err != nil {
		p.log.Error("where proxies listen is not saved; after a restart a port that was edited meanwhile closes at once", "error", err)
	}
}

// replaceFile writes a file whole, or leaves the one before: also where the machine
// loses its power.
func replaceFile(path string, data []byte) error {
	half, err := os.OpenFile(path+".half", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = half.Write(data)
	if err == nil {
		err = half.Sync()
	}
	if err := errors.Join(err, half.Close()); err != nil {
		return err
	}
	return os.Rename(half.Name(), path)
}
