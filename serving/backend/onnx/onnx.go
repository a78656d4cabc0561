// Package onnx runs ONNX models in this process, by ONNX Runtime: on the CPU, or
// on a GPU where the library and its providers can. It
// loads the runtime's shared library from a path given to it, and never looks
// for one. Batching, deadlines and the protocol are none of its business.
//
// Start reading at Load (the library, once per process), then Open (a model)
// and Model.Run.
package onnx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/sluice-dev/sluice/serving"
)

// ErrLibrary marks a runtime library that is absent or cannot be used.
var ErrLibrary = errors.New("ONNX Runtime library")

// Library is the loaded ONNX Runtime. A process has one.
type Library struct{ version string }

// Load opens the shared library at path, for the whole process: a second Load,
// of whatever path, gives the first one's library until it is closed.
func Load(path string) (*Library, error) {
	if ort.IsInitialized() {
		return &Library{ort.GetVersion()}, nil
	}
	if path == "" {
		return nil, fmt.Errorf("%w: no path given", ErrLibrary)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	shareMemory()
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return nil, fmt.Errorf("%w: %s: %v (at least version 1.24 is needed)", ErrLibrary, path, err)
	}
	return &Library{ort.GetVersion()}, nil
}

// Version is the library's own, as in "1.32.0".
func (l *Library) Version() string { return l.version }

// Close unloads the library. Every Model must be closed before.
func (l *Library) Close() error { return ort.DestroyEnvironment() }

// Config says which model to open and how to run it.
type Config struct {
	Path string // of the .onnx file
	// Threads is how many threads one run may use. Default 1: then a run uses
	// the thread it is called on, and none is kept.
	Threads int
	// Provider is what computes. Default CPU.
	Provider Provider
	// Device is the number of the accelerator. Default 0.
	Device int
	// Slots is how many runs may overlap. On an accelerator each slot has a
	// session of its own, for a session has one stream there. Default 1.
	Slots int
}

// Model is one ONNX graph. Runs may overlap, one in each slot.
type Model struct {
	sessions  []*ort.DynamicAdvancedSession // one, or one per slot
	signature serving.Signature
	memory    int64
}

// Open reads the model's signature and prepares it for running. A model with
// types that tensors cannot carry is refused by name, and one that the provider
// cannot run whole: nothing falls back to the processor in silence.
func (l *Library) Open(c Config) (*Model, error) {
	if c.Threads < 0 || c.Slots < 0 {
		return nil, fmt.Errorf("threads and slots: not negative, found %d and %d", c.Threads, c.Slots)
	}
	if _, err := os.Stat(c.Path); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	signature, err := readSignature(c.Path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", c.Path, err)
	}
	before := resident()
	m := &Model{signature: signature}
	sessions := 1
	if c.Provider.accelerated() {
		sessions = max(c.Slots, 1)
	}
	for range sessions {
		session, err := newSession(c, signature)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("model %s: %w", c.Path, err), m.Close())
		}
		m.sessions = append(m.sessions, session)
	}
	keepSignalStacks()
	m.memory = max(0, resident()-before)
	return m, nil
}

func newSession(c Config, s serving.Signature) (*ort.DynamicAdvancedSession, error) {
	o, err := options(max(c.Threads, 1))
	if err != nil {
		return nil, err
	}
	defer o.Destroy() //nolint:errcheck // frees memory, cannot fail
	if err := c.Provider.choose(o, c.Device); err != nil {
		return nil, fmt.Errorf("provider %s: %w", c.Provider, err)
	}
	return ort.NewDynamicAdvancedSession(c.Path, names(s.Inputs), names(s.Outputs), o)
}

// readSignature reads the model once without optimizing it, which is cheap: the
// binding wants the names before it makes a session.
func readSignature(path string) (serving.Signature, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return serving.Signature{}, err
	}
	defer o.Destroy() //nolint:errcheck // frees memory, cannot fail
	if err := errors.Join(o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll), o.SetIntraOpNumThreads(1)); err != nil {
		return serving.Signature{}, err
	}
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, o)
	if err != nil {
		return serving.Signature{}, err
	}
	return signatureOf(inputs, outputs)
}

// options sets what saves memory and idle time where many servers share a
// machine: no spinning threads, and no memory planned for each batch size.
// Buffers come from the runtime's arena, which keeps those of the largest
// batch: measured on Magika, plain allocation needed twice the memory.
func options(threads int) (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(threads),
		o.SetInterOpNumThreads(1),
		o.SetMemPattern(false),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

func names(specs []serving.Spec) []string {
	out := make([]string, len(specs))
	for i, s := range specs {
		out[i] = s.Name
	}
	return out
}

// Signature is what the model takes and gives.
func (m *Model) Signature() serving.Signature { return m.signature }

// Memory is how many bytes of the machine's memory opening the model took; what
// it took of an accelerator's is not in it.
func (m *Model) Memory() int64 { return m.memory }

// Run computes one batch. Inputs must be bound by the model's signature. A run
// that began is not given up when the context ends.
func (m *Model) Run(_ context.Context, slot int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	in := make([]ort.Value, 0, len(inputs))
	defer func() { destroy(in) }()
	for _, t := range inputs {
		v, err := valueOf(t, &pins)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", t.Name, err)
		}
		in = append(in, v)
	}
	out := make([]ort.Value, len(m.signature.Outputs))
	if err := m.sessions[slot%len(m.sessions)].Run(in, out); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "Error running network: "))
	}
	defer destroy(out)
	return m.outputs(out)
}

func (m *Model) outputs(values []ort.Value) ([]serving.Tensor, error) {
	tensors := make([]serving.Tensor, len(values))
	for i, v := range values {
		t, err := tensorOf(m.signature.Outputs[i], v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", m.signature.Outputs[i].Name, err)
		}
		tensors[i] = t
	}
	return tensors, nil
}

func destroy(values []ort.Value) {
	for _, v := range values {
		if v != nil {
			_ = v.Destroy() // frees memory, cannot fail
		}
	}
}

// Close frees the model. No run may be under way.
func (m *Model) Close() error {
	var mistakes []error
	for _, s := range m.sessions {
		mistakes = append(mistakes, s.Destroy())
	}
	return errors.Join(mistakes...)
}
