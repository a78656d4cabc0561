package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-dev/sluice/e2e/stage"
	"github.com/sluice-dev/sluice/serving/magika"
)

// How many real files are asked about.
const (
	leastFiles  = 501
	wantedFiles = 800
)

// input is what users send: one request body per file.
type input struct {
	bodies [][]byte
	kinds  int // of files, by extension
}

// tensor is one input of a request of the Open Inference Protocol.
type tensor struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int   `json:"shape"`
	Data     []int32 `json:"data"`
}

// readInput turns real files of this machine into requests for a model.
func readInput(seed uint64, modelConfig string) (input, error) {
	text, err := os.ReadFile(modelConfig)
	if err != nil {
		return input{}, err
	}
	features, err := magika.Parse(text)
	if err != nil {
		return input{}, fmt.Errorf("%s: %w", modelConfig, err)
	}
	samples, err := stage.Corpus(seed, leastFiles, wantedFiles)
	if err != nil {
		return input{}, err
	}
	in := input{}
	kinds := map[string]bool{}
	for _, s := range samples {
		body, err := json.Marshal(map[string][]tensor{"inputs": {{
			Name: "bytes", Datatype: "INT32", Shape: []int{1, features.Size()}, Data: features.Features(s.Content),
		}}})
		if err != nil {
			return input{}, err
		}
		in.bodies = append(in.bodies, body)
		kinds[strings.ToLower(filepath.Ext(s.Path))] = true
	}
	in.kinds = len(kinds)
	return in, nil
}
