package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/sluice-dev/sluice/e2e/stage"
)

// modelFiles is one version of the model as it was fetched.
type modelFiles struct {
	path   string // model.onnx
	config string // config.min.json
	digest string // sha256 of the model, hex
}

// findModels finds both versions by name.
func findModels() (map[string]modelFiles, error) {
	models := map[string]modelFiles{}
	for _, v := range []string{stable, candidate} {
		path, err := stage.Part("", model+"/"+v+"/model.onnx")
		if err != nil {
			return nil, err
		}
		sum, err := digest(path)
		if err != nil {
			return nil, err
		}
		models[v] = modelFiles{path, filepath.Join(filepath.Dir(path), "config.min.json"), sum}
	}
	return models, nil
}

// server is one model server to start.
type server struct {
	name    string
	model   stage.Model
	address *string // where to write down its host:port
}

// serve starts the model servers of all stories at once, and notes in the
// manifests where they are.
func (s *scene) serve(ctx context.Context, models map[string]modelFiles, seed uint64) error {
	binary, err := stage.Built("sluice-serve")
	if err != nil {
		return err
	}
	library, err := stage.Part("ONNXRUNTIME_LIBRARY", "onnxruntime/libonnxruntime.so.1.32.0")
	if err != nil {
		return err
	}
	s.fleet = &stage.Fleet{Binary: binary, Library: library, Folder: s.logs()}
	var servers []server
	for _, st := range stories() {
		m := manifest{Story: st, Namespace: namespace, Model: model, Target: stable}
		for _, v := range []string{stable, candidate} {
			seed++
			served := version{Name: v, Endpoints: make([]string, st.Pods), Digest: models[v].digest}
			servers = append(servers, st.servers(served, models[v], seed)...)
			m.Versions = append(m.Versions, served)
		}
		s.manifests = append(s.manifests, m)
	}
	return startAll(ctx, s.fleet, servers)
}

// servers are a version's, one per endpoint. The faults are the candidate's.
func (s story) servers(v version, m modelFiles, seed uint64) []server {
	var list []server
	for i := range v.Endpoints {
		one := server{
			name:    fmt.Sprintf("%s-%s-%d", s.Name, v.Name, i+1),
			model:   stage.Model{Path: m.path, Name: model, Version: v.Name, Seed: seed*100 + uint64(i)},
			address: &v.Endpoints[i],
		}
		if v.Name == candidate {
			one.model.Faults = s.Faults
		}
		list = append(list, one)
	}
	return list
}

// startAll returns when every server is ready, or has failed.
func startAll(ctx context.Context, fleet *stage.Fleet, servers []server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() {
			started, err := fleet.Start(ctx, s.name, s.model)
			if err != nil {
				errs[i] = err
				return
			}
			*s.address = started.Address
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
