package magika_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving/magika"
)

const config = `{"beg_size":1024,"mid_size":0,"end_size":1024,"use_inputs_at_offsets":false,"padding_token":256,
	"block_size":4096,"target_labels_space":["go","randombytes","txt"],"overwrite_map":{"randombytes":"unknown"}}`

func parse(t *testing.T) *magika.Config {
	t.Helper()
	c, err := magika.Parse([]byte(config))
	require.NoError(t, err)
	return c
}

func TestFeaturesAreThoseOfThePublishedExtraction(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var golden map[string]struct{ Features uint32 }
	require.NoError(t, json.Unmarshal(text, &golden))
	require.Len(t, golden, 7)
	for file, want := range golden {
		content, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		var raw bytes.Buffer
		require.NoError(t, binary.Write(&raw, binary.LittleEndian, parse(t).Features(content)))
		assert.Equal(t, want.Features, crc32.ChecksumIEEE(raw.Bytes()), file)
	}
}

func TestFeaturesOfShortContent(t *testing.T) {
	f := parse(t).Features([]byte(" \n ab\t"))
	require.Len(t, f, 2048)
	assert.Equal(t, []int32{'a', 'b', '\t', 256}, f[:4], "the front is stripped at its front only")
	assert.Equal(t, []int32{256, ' ', '\n', ' ', 'a', 'b'}, f[2042:], "the back is stripped at its back only")

	empty := parse(t).Features(nil)
	assert.Equal(t, slices.Repeat([]int32{256}, 2048), empty)
}

func TestLabel(t *testing.T) {
	c := parse(t)
	assert.Equal(t, "go", c.Label([]float32{0.5, 0.2, 0.3}))
	assert.Equal(t, "unknown", c.Label([]float32{0.1, 0.8, 0.1}), "renamed by the model's config")
	assert.Empty(t, c.Label([]float32{1}), "the scores of another model")
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, config, want string }{
		{"no JSON", `x`, "magika config: invalid character 'x'"},
		{"features of the middle", `{"mid_size":512}`, "found mid_size 512"},
		{"sizes beyond the block", `{"beg_size":9,"end_size":9,"block_size":9}`, "found 9, 9, 9"},
		{"no labels", `{"beg_size":1,"end_size":1,"block_size":9}`, "target_labels_space: empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := magika.Parse([]byte(test.config))
			assert.ErrorContains(t, err, test.want)
		})
	}
}
