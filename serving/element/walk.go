package element

import (
	"errors"
	"fmt"
)

// walk goes through the brackets and commas of an array.
type walk struct {
	text  []byte
	at    int
	depth int
	after byte // what came last: '[', ']', ',' or 'e' for an element; 0 at the start
}

// toElement moves to the next element; false behind the array's end.
func (w *walk) toElement() (more bool, err error) {
	for ; w.at < len(w.text); w.at++ {
		c := w.text[w.at]
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '[', ']', ',':
			if err := w.step(c); err != nil {
				return false, err
			}
			continue
		}
		return true, w.begin(c)
	}
	if w.depth > 0 {
		return false, errors.New("the array does not end")
	}
	return false, nil
}

// step takes a bracket or a comma.
func (w *walk) step(c byte) error {
	value := w.after == 'e' || w.after == ']'
	switch {
	case w.depth == 0 && w.after != 0,
		c == '[' && value,
		c == ',' && !value,
		c == ']' && !value && w.after != '[':
		return w.surprise(c)
	case c == '[':
		w.depth++
	case c == ']':
		w.depth--
	}
	w.after = c
	return nil
}

// begin says whether an element may stand here.
func (w *walk) begin(c byte) error {
	if w.depth == 0 || w.after == 'e' || w.after == ']' {
		return w.surprise(c)
	}
	return nil
}

func (w *walk) surprise(c byte) error {
	return fmt.Errorf("no JSON array: %q at byte %d", c, w.at)
}

// End is where the array or string that starts at i ends; the text's length if it
// does not. What stands in an array is not looked at.
func End(text []byte, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = elementEnd(text, i)
		case '[':
			depth, i = depth+1, i+1
		case ']':
			depth, i = depth-1, i+1
		default:
			i++
			continue
		}
		if depth <= 0 {
			return i
		}
	}
	return len(text)
}

// number says whether text is one by JSON's grammar: strconv takes more.
func number(text []byte) bool {
	i := 0
	if text[0] == '-' {
		i++
	}
	whole := digits(text, i)
	if whole == i || text[i] == '0' && whole > i+1 {
		return false
	}
	i = whole
	if i < len(text) && text[i] == '.' {
		fraction := digits(text, i+1)
		if fraction == i+1 {
			return false
		}
		i = fraction
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		exponent := digits(text, i)
		return exponent > i && exponent == len(text)
	}
	return i == len(text)
}

// digits is where those that start at i end.
func digits(text []byte, i int) int {
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	return i
}
