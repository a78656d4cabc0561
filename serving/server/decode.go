package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/element"
)

// request is an inference request as the caller wrote it, numbers parsed.
type request struct {
	id      string
	model   string // empty: as in the path
	tensors []serving.Tensor
	timeout time.Duration // 0: none asked for
	outputs []wanted      // empty: all of them

	priority    serving.Priority
	prioritized bool // it was said
	binary      bool // raw outputs where wanted does not say
}

// wanted is an output that the caller named.
type wanted struct {
	name   string
	binary bool
}

type parameters map[string]json.RawMessage

// requestJSON is a request's body. KServe's clients name the model in it, too.
type requestJSON struct {
	ID         string       `json:"id"`
	Model      string       `json:"model_name"`
	Parameters parameters   `json:"parameters"`
	Inputs     []inputJSON  `json:"inputs"`
	Outputs    []outputJSON `json:"outputs"`
}

type inputJSON struct {
	Name       string           `json:"name"`
	Datatype   serving.Datatype `json:"datatype"`
	Shape      serving.Shape    `json:"shape"`
	Parameters parameters       `json:"parameters"`
	Data       json.RawMessage  `json:"data"`
}

type outputJSON struct {
	Name       string     `json:"name"`
	Parameters parameters `json:"parameters"`
}

// decode takes the JSON part and the raw tensors behind it. What it does not
// know it refuses: a parameter that changes nothing would be a silent lie.
func decode(header, raw []byte) (*request, error) {
	var j requestJSON
	rest, arrays := skim(header)
	if err := unmarshal(rest, &j); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	for i, in := range j.Inputs {
		j.Inputs[i].Data = skimmed(in.Data, arrays)
	}
	return requestOf(j, raw)
}

func requestOf(j requestJSON, raw []byte) (*request, error) {
	r := &request{id: j.ID, model: j.Model}
	if err := r.readParameters(j.Parameters); err != nil {
		return nil, err
	}
	if err := r.readOutputs(j.Outputs); err != nil {
		return nil, err
	}
	return r, r.readInputs(j.Inputs, raw)
}

func unmarshal(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more after the JSON object")
	}
	return nil
}

// read fills the parameters named in into, and refuses all others.
func (p parameters) read(into map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		target, ok := into[name]
		if !ok {
			return fmt.Errorf("parameters.%s: not supported, found %s", name, p[name])
		}
		if err := json.Unmarshal(p[name], target); err != nil {
			return fmt.Errorf("parameters.%s: %w", name, err)
		}
	}
	return nil
}

func (r *request) readParameters(p parameters) error {
	var timeout, priority int64
	known := map[string]any{"timeout": &timeout, "priority": &priority, "binary_data_output": &r.binary}
	if err := p.read(known); err != nil {
		return err
	}
	return errors.Join(r.setTimeout(timeout), r.setPriority(priority))
}

func (r *request) setTimeout(microseconds int64) error {
	const most = int64(24 * time.Hour / time.Microsecond)
	if microseconds < 0 || microseconds > most {
		return fmt.Errorf("parameters.timeout: microseconds up to a day, found %d", microseconds)
	}
	r.timeout = time.Duration(microseconds) * time.Microsecond
	return nil
}

// setPriority takes a level: 1 is the most urgent, 0 the default, which is 2.
func (r *request) setPriority(level int64) (err error) {
	r.prioritized = level != 0
	r.priority, err = priorityAt(level)
	if err != nil {
		return fmt.Errorf("parameters.priority: %w", err)
	}
	return nil
}

func priorityAt(level int64) (serving.Priority, error) {
	switch level {
	case 0, 2:
		return serving.Normal, nil
	case 1:
		return serving.Urgent, nil
	case 3:
		return serving.Patient, nil
	}
	return serving.Normal, fmt.Errorf("a level from 1 (urgent) to 3 (patient), found %d", level)
}

func (r *request) readOutputs(list []outputJSON) error {
	for _, o := range list {
		w := wanted{name: o.Name, binary: r.binary}
		if err := o.Parameters.read(map[string]any{"binary_data": &w.binary}); err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
		r.outputs = append(r.outputs, w)
	}
	return nil
}

func (r *request) readInputs(list []inputJSON, raw []byte) error {
	var mistakes []error
	for _, in := range list {
		t, rest, err := in.tensor(raw)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("input %q: %w", in.Name, err))
			continue
		}
		raw = rest
		r.tensors = append(r.tensors, t)
	}
	if len(mistakes) == 0 && len(raw) > 0 {
		return fmt.Errorf("body: %d bytes behind the last input's binary data", len(raw))
	}
	return errors.Join(mistakes...)
}

// tensor takes an input's data from its JSON or from the front of raw.
func (in inputJSON) tensor(raw []byte) (t serving.Tensor, rest []byte, err error) {
	t = serving.Tensor{Name: in.Name, Datatype: in.Datatype, Shape: in.Shape}
	if !in.Datatype.Known() {
		return t, raw, fmt.Errorf("datatype: not one of the protocol's, found %q", in.Datatype)
	}
	size := -1
	if err := in.Parameters.read(map[string]any{"binary_data_size": &size}); err != nil {
		return t, raw, err
	}
	switch {
	case size >= 0 && in.Data != nil:
		return t, raw, errors.New("data: given twice, as JSON and as binary_data_size")
	case size > len(raw):
		return t, raw, fmt.Errorf("parameters.binary_data_size: %d, but %d bytes are left in the body", size, len(raw))
	case size >= 0:
		t.Data = raw[:size:size]
		return t, raw[size:], nil
	case in.Data == nil:
		return t, raw, errors.New("data: missing")
	}
	t.Data, err = element.Parse(in.Datatype, in.Data)
	return t, raw, err
}
