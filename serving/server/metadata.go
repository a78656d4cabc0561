package server

import (
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/sketch"
)

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// serverName is the server's in its metadata.
const serverName = "sluice-serve"

// extensions are what is served beyond the protocol's core.
func extensions() []string { return []string{"binary_tensor_data"} }

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (*Server) describeServer(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, serverMetadata{Name: serverName, Version: buildVersion(), Extensions: extensions()})
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
	g := s.engine.backend.Load()
	writeJSON(w, http.StatusOK, modelMetadata{
		Name: s.config.Model, Versions: []string{g.version}, Platform: s.config.Platform,
		Inputs: specs(g.signature.Inputs), Outputs: specs(g.signature.Outputs),
		Parameters: s.parameters(g),
	})
}

// parameters are what the metadata tells besides the signature.
func (s *Server) parameters(g *generation) map[string]string {
	all := maps.Clone(s.config.Parameters)
	add := func(name, value string) {
		if all == nil {
			all = map[string]string{}
		}
		all[name] = value
	}
	if g.digest != "" {
		add("digest", g.digest)
	}
	if g.memory > 0 {
		add("memory_bytes", strconv.FormatInt(g.memory, 10))
	}
	return all
}

type outputSketch struct {
	Model   string         `json:"model_name"`
	Version string         `json:"model_version"`
	Output  string         `json:"output"`
	Sketch  *sketch.Sketch `json:"sketch"`
}

// describeOutputs gives the sketch of what this version answered so far.
func (s *Server) describeOutputs(w http.ResponseWriter, _ *http.Request) {
	g := s.engine.backend.Load()
	sum := g.sketched()
	if sum == nil {
		writeError(w, failure(http.StatusNotFound, "model %q: no output is a row of FP32 scores", s.config.Model))
		return
	}
	writeJSON(w, http.StatusOK, outputSketch{s.config.Model, g.version, g.signature.Outputs[g.output].Name, sum})
}

func specs(list []serving.Spec) []specMetadata {
	out := make([]specMetadata, len(list))
	for i, spec := range list {
		out[i] = specMetadata{spec.Name, spec.Datatype, spec.Shape}
	}
	return out
}
