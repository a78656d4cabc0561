// Package magika turns a file's content into what Magika's version 3 models
// take, and their scores into a label. It follows the published feature
// extraction (the package's "features v2"); it runs no model and reads no file.
// Start reading at Parse.
package magika

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Config is what a model's config.min.json says of it.
type Config struct {
	begin, end, block int
	padding           int32
	labels            []string
	overwrite         map[string]string
}

// document is the part of config.min.json that is used.
type document struct {
	Begin     int               `json:"beg_size"`
	Middle    int               `json:"mid_size"`
	End       int               `json:"end_size"`
	Offsets   bool              `json:"use_inputs_at_offsets"`
	Padding   int32             `json:"padding_token"`
	Block     int               `json:"block_size"`
	Labels    []string          `json:"target_labels_space"`
	Overwrite map[string]string `json:"overwrite_map"`
}

// Parse reads a config.min.json. Models that look at the middle of a file or at
// fixed offsets (version 2 and before) are refused.
func Parse(config []byte) (*Config, error) {
	var d document
	if err := json.Unmarshal(config, &d); err != nil {
		return nil, fmt.Errorf("magika config: %w", err)
	}
	switch {
	case d.Middle != 0 || d.Offsets:
		return nil, fmt.Errorf("magika config: features of the middle or at offsets are not supported, found mid_size %d, use_inputs_at_offsets %v",
			d.Middle, d.Offsets)
	case d.Begin < 1 || d.End < 1 || d.Block <= max(d.Begin, d.End):
		return nil, fmt.Errorf("magika config: sizes: block above begin and end, all positive, found %d, %d, %d", d.Block, d.Begin, d.End)
	case len(d.Labels) == 0:
		return nil, fmt.Errorf("magika config: target_labels_space: empty")
	}
	return &Config{
		begin: d.Begin, end: d.End, block: d.Block, padding: d.Padding,
		labels: d.Labels, overwrite: d.Overwrite,
	}, nil
}

// Size is the number of features of one file.
func (c *Config) Size() int { return c.begin + c.end }

// Labels counts the model's scores.
func (c *Config) Labels() int { return len(c.labels) }

// Features are the first and the last bytes of a file, surrounding whitespace
// taken off within a block, filled up with the padding token.
func (c *Config) Features(content []byte) []int32 {
	block := min(c.block, len(content))
	head := bytes.TrimLeft(content[:block], whitespace)
	tail := bytes.TrimRight(content[len(content)-block:], whitespace)
	head = head[:min(c.begin, len(head))]
	tail = tail[max(0, len(tail)-c.end):]

	features := make([]int32, c.Size())
	for i := range features {
		features[i] = c.padding
	}
	for i, b := range head {
		features[i] = int32(b)
	}
	for i, b := range tail {
		features[c.Size()-len(tail)+i] = int32(b)
	}
	return features
}

// whitespace is what the published extraction strips.
const whitespace = " \t\n\v\f\r"

// Label names the highest score, whatever its height; the model's own renaming
// of classes that are not file types (random bytes) applies. It is empty where
// the number of scores is not the model's.
func (c *Config) Label(scores []float32) string {
	if len(scores) != len(c.labels) {
		return ""
	}
	best := 0
	for i, s := range scores {
		if s > scores[best] {
			best = i
		}
	}
	label := c.labels[best]
	if other, ok := c.overwrite[label]; ok {
		return other
	}
	return label
}
