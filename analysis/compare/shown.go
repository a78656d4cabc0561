package compare

import (
	"strings"

	"github.com/sluice-dev/sluice/config"
)

const (
	// keptMost is how many bytes of a value are kept to be shown.
	keptMost = 2 << 10
	// shownMost is how many of them people are shown, and leadMost how many before the
	// first that differs.
	shownMost, leadMost = 120, 40
	// hidden stands for what must not be shown.
	hidden = "(hidden)"
)

// show is the field as people may see it.
func show(c config.Compare, whole any) string {
	for _, path := range c.Hide {
		whole = without(whole, split(path), hidden)
	}
	field, ok := find(whole, split(c.Field))
	if !ok {
		return hidden
	}
	text := written(field)
	return string(text[:min(len(text), keptMost)])
}

// String is what people may see of it.
func (v Value) String() string { return excerpt(v.shown, 0) }

// Shown is what people may see of two values: the part where they begin to differ.
func Shown(a, b Value) (string, string) {
	first := 0
	for first < min(len(a.shown), len(b.shown)) && a.shown[first] == b.shown[first] {
		first++
	}
	if first == len(a.shown) && first == len(b.shown) {
		first = 0 // what differs is hidden, or is further on
	}
	return excerpt(a.shown, first), excerpt(b.shown, first)
}

// excerpt is a part of a text round a byte.
func excerpt(text string, at int) string {
	if len(text) <= shownMost {
		return text
	}
	from := max(0, min(at-leadMost, len(text)-shownMost))
	part := strings.ToValidUTF8(text[from:from+shownMost], "")
	if from > 0 {
		part = "…" + part
	}
	if from+shownMost < len(text) {
		part += "…"
	}
	return part
}
