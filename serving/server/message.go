package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/oippb"
)

// decodeMessage takes a gRPC request apart. As over REST, what it does not know
// it refuses.
func decodeMessage(m *oippb.ModelInferRequest) (*request, error) {
	r := &request{id: m.GetId(), binary: len(m.GetRawInputContents()) > 0 || len(m.GetInputs()) == 0}
	if err := r.readMessageParameters(m.GetParameters()); err != nil {
		return nil, err
	}
	for _, o := range m.GetOutputs() {
		w := wanted{name: o.GetName(), binary: r.binary}
		if err := refuseAllBut(o.GetParameters()); err != nil {
			return nil, fmt.Errorf("output %q: %w", o.GetName(), err)
		}
		r.outputs = append(r.outputs, w)
	}
	var err error
	r.tensors, err = inputsOf(m)
	return r, err
}

func refuseAllBut(p map[string]*oippb.InferParameter, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("parameters.%s: not supported, found %v", name, p[name])
		}
	}
	return nil
}

func (r *request) readMessageParameters(p map[string]*oippb.InferParameter) error {
	if err := refuseAllBut(p, "timeout", "priority", "binary_data_output"); err != nil {
		return err
	}
	timeout, err := integer(p["timeout"])
	if err != nil {
		return fmt.Errorf("parameters.timeout: %w", err)
	}
	priority, err := integer(p["priority"])
	if err != nil {
		return fmt.Errorf("parameters.priority: %w", err)
	}
	if raw, ok := p["binary_data_output"].GetParameterChoice().(*oippb.InferParameter_BoolParam); ok {
		r.binary = raw.BoolParam
	} else if p["binary_data_output"] != nil {
		return fmt.Errorf("parameters.binary_data_output: true or false, found %v", p["binary_data_output"])
	}
	return errors.Join(r.setTimeout(timeout), r.setPriority(priority))
}

// integer reads a parameter in either of the protocol's forms; 0 if it is absent.
func integer(p *oippb.InferParameter) (int64, error) {
	switch v := p.GetParameterChoice().(type) {
	case nil:
		return 0, nil
	case *oippb.InferParameter_Int64Param:
		return v.Int64Param, nil
	case *oippb.InferParameter_Uint64Param:
		return int64(v.Uint64Param), nil
	}
	return 0, fmt.Errorf("a whole number, found %v", p)
}

// binarySize is the parameter with the length of an input's raw data.
const binarySize = "binary_data_size"

func inputsOf(m *oippb.ModelInferRequest) ([]serving.Tensor, error) {
	raw := m.GetRawInputContents()
	if len(raw) > 0 && len(raw) != len(m.GetInputs()) {
		return nil, fmt.Errorf("raw_input_contents: one for each of the %d inputs, found %d", len(m.GetInputs()), len(raw))
	}
	var mistakes []error
	tensors := make([]serving.Tensor, len(m.GetInputs()))
	for i, in := range m.GetInputs() {
		t := serving.Tensor{Name: in.GetName(), Datatype: serving.Datatype(in.GetDatatype()), Shape: in.GetShape()}
		err := refuseAllBut(in.GetParameters(), binarySize)
		size, sized := in.GetParameters()[binarySize] // KServe's clients say it here, too
		switch {
		case err != nil:
		case sized && (len(raw) == 0 || size.GetInt64Param() != int64(len(raw[i]))):
			err = fmt.Errorf("parameters.%s: not the length of its raw_input_contents, found %v", binarySize, size)
		case !t.Datatype.Known():
			err = fmt.Errorf("datatype: not one of the protocol's, found %q", t.Datatype)
		case len(raw) > 0 && in.GetContents() != nil:
			err = errors.New("contents: given beside raw_input_contents")
		case len(raw) > 0:
			t.Data = raw[i]
		default:
			t.Data, err = oippb.Pack(t.Datatype, in.GetContents())
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("input %q: %w", t.Name, err))
		}
		tensors[i] = t
	}
	return tensors, errors.Join(mistakes...)
}

// encodeMessage writes the answer in the form of the request: raw, or typed
// where every datatype has a typed form.
func encodeMessage(model, version string, r *request, outputs []serving.Tensor) (*oippb.ModelInferResponse, error) {
	m := &oippb.ModelInferResponse{ModelName: model, ModelVersion: version, Id: r.id}
	list := r.selected(outputs)
	raw := r.binary || slices.ContainsFunc(list, func(o output) bool { return !oippb.Typed(o.Datatype) })
	for _, o := range list {
		t := &oippb.ModelInferResponse_InferOutputTensor{Name: o.Name, Datatype: string(o.Datatype), Shape: o.Shape}
		m.Outputs = append(m.Outputs, t)
		if raw {
			m.RawOutputContents = append(m.RawOutputContents, o.Data)
			continue
		}
		var err error
		if t.Contents, err = oippb.Unpack(o.Datatype, o.Data); err != nil {
			return nil, backendError{fmt.Errorf("output %q: %w", o.Name, err)}
		}
	}
	return m, nil
}

func specMessages(list []serving.Spec) []*oippb.ModelMetadataResponse_TensorMetadata {
	out := make([]*oippb.ModelMetadataResponse_TensorMetadata, len(list))
	for i, spec := range list {
		out[i] = &oippb.ModelMetadataResponse_TensorMetadata{Name: spec.Name, Datatype: string(spec.Datatype), Shape: spec.Shape}
	}
	return out
}
