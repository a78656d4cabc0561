package serving

import (
	"errors"
	"fmt"
	"slices"
)

// Shaping lets requests of different shapes share a batch: inputs are padded to
// one of a few sizes, and outputs are cut back to what the request had. The zero
// Shaping changes nothing.
type Shaping struct {
	Pads  []Pad
	Crops []Crop
}

// Pad says to which sizes a dimension of an input is padded.
type Pad struct {
	Input string
	Dim   int     // at least 1: the batch dimension is Config.Sizes' business
	Sizes []int64 // ascending; a request beyond the last is refused
	Fill  []byte  // one element in raw form. Default zero, or an empty element of BYTES
}

// Crop says that an output's dimension is as long as an input's, before padding.
type Crop struct {
	Output  string
	Dim     int
	Like    string // the input, which has a Pad for LikeDim
	LikeDim int
}

// Check compares the shaping with a model's signature; all mistakes are named.
func (s Shaping) Check(sig Signature) error {
	var mistakes []error
	for _, p := range s.Pads {
		if err := p.check(sig); err != nil {
			mistakes = append(mistakes, fmt.Errorf("pad %s:%d: %w", p.Input, p.Dim, err))
		}
	}
	for _, c := range s.Crops {
		if err := c.check(s, sig); err != nil {
			mistakes = append(mistakes, fmt.Errorf("crop %s:%d: %w", c.Output, c.Dim, err))
		}
	}
	return errors.Join(mistakes...)
}

func open(list []Spec, side, name string, dim int) (Spec, error) {
	i := slices.IndexFunc(list, func(spec Spec) bool { return spec.Name == name })
	switch {
	case i < 0:
		return Spec{}, fmt.Errorf("the model has no %s %q", side, name)
	case dim < 1 || dim >= len(list[i].Shape) || list[i].Shape[dim] != Any:
		return Spec{}, fmt.Errorf("dimension %d is not one that requests choose, found shape %v", dim, list[i].Shape)
	}
	return list[i], nil
}

func (p Pad) check(sig Signature) error {
	spec, err := open(sig.Inputs, "input", p.Input, p.Dim)
	switch {
	case err != nil:
		return err
	case len(p.Sizes) == 0 || p.Sizes[0] < 1 || !slices.IsSorted(p.Sizes):
		return fmt.Errorf("sizes: positive and ascending, found %v", p.Sizes)
	case p.Fill != nil && spec.Datatype != Bytes && len(p.Fill) != spec.Datatype.Size():
		return fmt.Errorf("fill: one element of %s is %d bytes, found %d", spec.Datatype, spec.Datatype.Size(), len(p.Fill))
	case p.Fill != nil && spec.Datatype == Bytes:
		return checkFrames(p.Fill, 1)
	}
	return nil
}

func (c Crop) check(s Shaping, sig Signature) error {
	if _, err := open(sig.Outputs, "output", c.Output, c.Dim); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Pads, func(p Pad) bool { return p.Input == c.Like && p.Dim == c.LikeDim }) {
		return fmt.Errorf("dimension %d of input %q is not padded", c.LikeDim, c.Like)
	}
	return nil
}

// Pad gives a bound request with its inputs padded, and the key to match.
func (s Shaping) Pad(sig Signature, b Bound) (Bound, error) {
	if len(s.Pads) == 0 {
		return b, nil
	}
	b.Inputs = slices.Clone(b.Inputs)
	for _, p := range s.Pads {
		i := slices.IndexFunc(b.Inputs, func(t Tensor) bool { return t.Name == p.Input })
		padded, err := p.apply(b.Inputs[i])
		if err != nil {
			return b, fmt.Errorf("input %q: %w", p.Input, err)
		}
		b.Inputs[i] = padded
	}
	from := 0
	if sig.Batchable() {
		from = 1
	}
	b.Key = sig.key(b.Inputs, from)
	return b, nil
}

// Sample makes inputs as Signature.Sample does, with every padded dimension as
// long as it can become: what takes longest to run.
func (s Shaping) Sample(sig Signature, items int) []Tensor {
	inputs := sig.Sample(items)
	for _, p := range s.Pads {
		i := slices.IndexFunc(inputs, func(t Tensor) bool { return t.Name == p.Input })
		longest := p
		longest.Sizes = p.Sizes[len(p.Sizes)-1:]
		inputs[i], _ = longest.apply(inputs[i]) // 1 fits into any size
	}
	return inputs
}

// Unpadded are the dimensions, as ids:1, that requests choose and no Pad bounds.
// A Sample has 1 there, and so says nothing of how long others take.
func (s Shaping) Unpadded(sig Signature) []string {
	var dims []string
	batched := sig.Batchable()
	for _, spec := range sig.Inputs {
		for d, size := range spec.Shape {
			if size != Any || d == 0 && batched ||
				slices.ContainsFunc(s.Pads, func(p Pad) bool { return p.Input == spec.Name && p.Dim == d }) {
				continue
			}
			dims = append(dims, fmt.Sprintf("%s:%d", spec.Name, d))
		}
	}
	return dims
}

func (p Pad) apply(t Tensor) (Tensor, error) {
	length := t.Shape[p.Dim]
	for _, size := range p.Sizes {
		if size >= length {
			fill := p.Fill
			if fill == nil {
				fill = make([]byte, max(t.Datatype.Size(), 1))
			}
			if t.Datatype == Bytes && p.Fill == nil {
				fill = make([]byte, frame)
			}
			return t.resize(p.Dim, size, fill), nil
		}
	}
	return t, fmt.Errorf("dimension %d: at most %d, found %d", p.Dim, p.Sizes[len(p.Sizes)-1], length)
}

// Crop cuts the outputs of a padded request back by its original inputs.
func (s Shaping) Crop(original, outputs []Tensor) []Tensor {
	if len(s.Crops) == 0 {
		return outputs
	}
	outputs = slices.Clone(outputs)
	for _, c := range s.Crops {
		like := original[slices.IndexFunc(original, func(t Tensor) bool { return t.Name == c.Like })]
		for i, o := range outputs {
			if o.Name == c.Output && c.Dim < len(o.Shape) && o.Shape[c.Dim] > like.Shape[c.LikeDim] {
				outputs[i] = o.resize(c.Dim, like.Shape[c.LikeDim], nil)
			}
		}
	}
	return outputs
}

// resize makes a dimension shorter, or longer by elements of fill.
func (t Tensor) resize(dim int, size int64, fill []byte) Tensor {
	had := t.Shape[dim]
	if had == size {
		return t
	}
	outer, _ := t.Shape[:dim].Elements()
	inner, _ := t.Shape[dim+1:].Elements()
	kept, added := min(had, size)*inner, max(0, size-had)*inner
	var data []byte
	rest := t.Data
	for range outer {
		data = append(data, rest[:t.sizeOf(rest, kept)]...)
		for range added {
			data = append(data, fill...)
		}
		rest = rest[t.sizeOf(rest, had*inner):]
	}
	t.Shape = slices.Clone(t.Shape)
	t.Shape[dim], t.Data = size, data
	return t
}
