package server

import (
	"net/http"
	"runtime/debug"

	"github.com/sluice-dev/sluice/serving"
)

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

func (s *Server) describeServer(w http.ResponseWriter, _ *http.Request) {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	writeJSON(w, http.StatusOK, serverMetadata{
		Name: "sluice-serve", Version: version, Extensions: []string{"binary_tensor_data"},
	})
}

type modelMetadata struct {
	Name       string            `json:"name"`
	Versions   []string          `json:"versions"`
	Platform   string            `json:"platform"`
	Inputs     []specMetadata    `json:"inputs"`
	Outputs    []specMetadata    `json:"outputs"`
	Parameters map[string]string `json:"parameters,omitempty"`
}

type specMetadata struct {
	Name     string           `json:"name"`
	Datatype serving.Datatype `json:"datatype"`
	Shape    serving.Shape    `json:"shape"`
}

func (s *Server) describeModel(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, modelMetadata{
		Name: s.config.Model, Versions: []string{s.config.Version}, Platform: s.config.Platform,
		Inputs: specs(s.signature.Inputs), Outputs: specs(s.signature.Outputs),
		Parameters: s.config.Parameters,
	})
}

func specs(list []serving.Spec) []specMetadata {
	out := make([]specMetadata, len(list))
	for i, spec := range list {
		out[i] = specMetadata{spec.Name, spec.Datatype, spec.Shape}
	}
	return out
}
