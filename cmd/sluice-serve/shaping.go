package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-dev/sluice/serving"
)

// shaping reads --pad and --crop. The fill's raw form needs the input's datatype.
func (f *flags) shaping(sig serving.Signature) (serving.Shaping, error) {
	var s serving.Shaping
	var mistakes []error
	for _, text := range f.pads {
		p, err := parsePad(text, sig)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("--pad %s: %w", text, err))
		}
		s.Pads = append(s.Pads, p)
	}
	for _, text := range f.crops {
		c, err := parseCrop(text)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("--crop %s: %w", text, err))
		}
		s.Crops = append(s.Crops, c)
	}
	return s, errors.Join(mistakes...)
}

func parsePad(text string, sig serving.Signature) (p serving.Pad, err error) {
	where, sizes, ok := strings.Cut(text, "=")
	if !ok {
		return p, errors.New("as in ids:1=32,64,128")
	}
	if p.Input, p.Dim, err = parseDim(where); err != nil {
		return p, err
	}
	sizes, fill, filled := strings.Cut(sizes, ":fill=")
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.ParseInt(size, 10, 32)
		if err != nil {
			return p, fmt.Errorf("size: a whole number, found %q", size)
		}
		p.Sizes = append(p.Sizes, n)
	}
	if filled {
		p.Fill, err = parseFill(fill, p.Input, sig)
	}
	return p, err
}

// parseFill gives one element of the input's datatype, which must be an integer.
func parseFill(text, input string, sig serving.Signature) ([]byte, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("fill: a whole number, found %q", text)
	}
	for _, spec := range sig.Inputs {
		if spec.Name == input {
			return integer(n, spec.Datatype)
		}
	}
	return nil, nil // Shaping.Check names the missing input
}

func integer(n int64, d serving.Datatype) ([]byte, error) {
	if !strings.Contains(string(d), "INT") {
		return nil, fmt.Errorf("fill: only for integers, the input is %s", d)
	}
	raw := make([]byte, d.Size())
	for i := range raw {
		raw[i] = byte(n >> (8 * i))
	}
	return raw, nil
}

func parseCrop(text string) (c serving.Crop, err error) {
	where, like, ok := strings.Cut(text, "=")
	if !ok {
		return c, errors.New("as in logits:1=ids:1")
	}
	if c.Output, c.Dim, err = parseDim(where); err != nil {
		return c, err
	}
	c.Like, c.LikeDim, err = parseDim(like)
	return c, err
}

func parseDim(text string) (name string, dim int, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 1 {
		return "", 0, fmt.Errorf("a name and a dimension as ids:1, found %q", text)
	}
	dim, err = strconv.Atoi(text[i+1:])
	if err != nil {
		return "", 0, fmt.Errorf("a name and a dimension as ids:1, found %q", text)
	}
	return text[:i], dim, nil
}
