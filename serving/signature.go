package serving

import (
	"errors"
	"fmt"
	"strings"
)

// Spec is what a model says of one input or output.
type Spec struct {
	Name     string
	Datatype Datatype
	Shape    Shape // Any where requests choose; the batch dimension is written, as Any
}

// Signature is what a model takes and gives, in the model's order.
type Signature struct {
	Inputs, Outputs []Spec
}

// Bound is a request's inputs after they were checked: in the signature's
// order, with the rows counted.
type Bound struct {
	Inputs []Tensor
	Items  int    // rows of the batch dimension; 1 where the model has none
	Key    string // equal for requests that may share a batch
}

// Batchable says whether requests can be joined along the first dimension:
// every input and output leaves it open.
func (s Signature) Batchable() bool {
	for _, list := range [][]Spec{s.Inputs, s.Outputs} {
		for _, spec := range list {
			if len(spec.Shape) == 0 || spec.Shape[0] != Any {
				return false
			}
		}
	}
	return len(s.Inputs) > 0 && len(s.Outputs) > 0
}

// Bind checks a request's inputs. The error names every mistake: the tensor,
// what the model has and what was found.
func (s Signature) Bind(inputs []Tensor) (Bound, error) {
	ordered, err := s.order(inputs)
	if err != nil {
		return Bound{}, err
	}
	var mistakes []error
	for i, spec := range s.Inputs {
		if err := spec.check(ordered[i]); err != nil {
			mistakes = append(mistakes, fmt.Errorf("input %q: %w", spec.Name, err))
		}
	}
	if len(mistakes) > 0 {
		return Bound{}, errors.Join(mistakes...)
	}
	if !s.Batchable() {
		return Bound{Inputs: ordered, Items: 1, Key: s.key(ordered, 0)}, nil
	}
	items, err := rows(ordered)
	if err != nil {
		return Bound{}, err
	}
	return Bound{Inputs: ordered, Items: items, Key: s.key(ordered, 1)}, nil
}

// order puts inputs in the signature's order; each must be there once.
func (s Signature) order(inputs []Tensor) ([]Tensor, error) {
	var mistakes []error
	at := map[string]int{}
	for i, spec := range s.Inputs {
		at[spec.Name] = i
	}
	ordered := make([]Tensor, len(s.Inputs))
	seen := make([]bool, len(s.Inputs))
	for _, t := range inputs {
		i, ok := at[t.Name]
		switch {
		case !ok:
			mistakes = append(mistakes, fmt.Errorf("input %q: the model has no such input, it has %s", t.Name, s.inputNames()))
		case seen[i]:
			mistakes = append(mistakes, fmt.Errorf("input %q: given more than once", t.Name))
		default:
			ordered[i], seen[i] = t, true
		}
	}
	for i, spec := range s.Inputs {
		if !seen[i] {
			mistakes = append(mistakes, fmt.Errorf("input %q: missing, the model takes %s %v", spec.Name, spec.Datatype, spec.Shape))
		}
	}
	return ordered, errors.Join(mistakes...)
}

// Verify checks what a model gave before anything reads it: every output of the
// signature is there once, in its datatype, with as many bytes as its own shape
// asks for. The shape is the model's to choose; outputs may be empty.
func (s Signature) Verify(outputs []Tensor) error {
	if len(outputs) != len(s.Outputs) {
		return fmt.Errorf("outputs: the model has %d, found %d", len(s.Outputs), len(outputs))
	}
	given := map[string]Tensor{}
	for _, t := range outputs {
		given[t.Name] = t
	}
	var mistakes []error
	for _, spec := range s.Outputs {
		t, ok := given[spec.Name]
		if !ok {
			mistakes = append(mistakes, fmt.Errorf("output %q: missing in the answer", spec.Name))
			continue
		}
		if err := spec.verify(t); err != nil {
			mistakes = append(mistakes, fmt.Errorf("output %q: %w", spec.Name, err))
		}
	}
	return errors.Join(mistakes...)
}

func (s Spec) verify(t Tensor) error {
	if t.Datatype != s.Datatype || !t.Datatype.Known() {
		return fmt.Errorf("datatype is %s, found %s", s.Datatype, t.Datatype)
	}
	if n, ok := t.Shape.Elements(); ok && n == 0 && len(t.Data) == 0 {
		return nil
	}
	return t.checkData()
}

func (s Signature) inputNames() string {
	names := make([]string, len(s.Inputs))
	for i, spec := range s.Inputs {
		names[i] = fmt.Sprintf("%q", spec.Name)
	}
	return strings.Join(names, ", ")
}

func (s Spec) check(t Tensor) error {
	switch {
	case t.Datatype != s.Datatype:
		return fmt.Errorf("datatype is %s, found %s", s.Datatype, t.Datatype)
	case !s.Shape.matches(t.Shape):
		return fmt.Errorf("shape is %v, found %v", s.Shape, t.Shape)
	}
	return t.checkData()
}

// rows is the first dimension, which all inputs share.
func rows(inputs []Tensor) (int, error) {
	first := inputs[0]
	for _, t := range inputs[1:] {
		if t.Shape[0] != first.Shape[0] {
			return 0, fmt.Errorf("input %q: batch of %d, but input %q has a batch of %d",
				t.Name, t.Shape[0], first.Name, first.Shape[0])
		}
	}
	return int(first.Shape[0]), nil
}

// key writes the dimensions that requests chose, from the given one on. It is
// empty for a model that leaves none open.
func (s Signature) key(inputs []Tensor, from int) string {
	var b strings.Builder
	for i, spec := range s.Inputs {
		for d := from; d < len(spec.Shape); d++ {
			if spec.Shape[d] == Any {
				fmt.Fprintf(&b, "%d,", inputs[i].Shape[d])
			}
		}
	}
	return b.String()
}

// Sample makes inputs of zeroes that Bind accepts: items rows where the model
// batches, 1 for every other dimension that requests choose.
func (s Signature) Sample(items int) []Tensor {
	batched := s.Batchable()
	inputs := make([]Tensor, len(s.Inputs))
	for i, spec := range s.Inputs {
		shape := append(Shape(nil), spec.Shape...)
		for d := range shape {
			switch {
			case shape[d] != Any:
			case d == 0 && batched:
				shape[d] = int64(items)
			default:
				shape[d] = 1
			}
		}
		inputs[i] = zeroes(spec, shape)
	}
	return inputs
}

func zeroes(spec Spec, shape Shape) Tensor {
	size := spec.Datatype.Size()
	if spec.Datatype == Bytes {
		size = frame // of an empty element
	}
	n, _ := shape.Elements()
	return Tensor{Name: spec.Name, Datatype: spec.Datatype, Shape: shape, Data: make([]byte, int(n)*size)}
}
