package compare_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis/compare"
	"github.com/sluice-dev/sluice/config"
)

func TestAnswersAreAlike(t *testing.T) {
	exact := config.Compare{By: config.CompareJSON, Ignore: []string{"id", "choices.created"}}
	label := config.Compare{By: config.CompareLabel, Field: "label"}
	top := config.Compare{By: config.CompareTopK, Field: "outputs.0.data", Top: 2}
	numeric := config.Compare{By: config.CompareNumeric, Field: "outputs.0.data", Tolerance: 10_000} // 1%
	cosine := config.Compare{By: config.CompareCosine, Field: "e", Tolerance: 10_000}
	for _, tt := range []struct {
		name  string
		by    config.Compare
		a, b  string
		alike bool
	}{
		{"in another order, with other spaces", exact, `{"a":1,"b":[2,"x"]}`, `{ "b": [2.0, "x"], "a": 1e0 }`, true},
		{"but for what is ignored", exact, `{"id":1,"choices":[{"created":5,"text":"x"}]}`, `{"id":2,"choices":[{"created":6,"text":"x"}]}`, true},
		{"not with another value", exact, `{"a":1}`, `{"a":2}`, false},
		{"not with another type", exact, `{"a":1}`, `{"a":"1"}`, false},
		{"not with a field more", exact, `{"a":1}`, `{"a":1,"b":null}`, false},
		{"not in another order of a list", exact, `[1,2]`, `[2,1]`, false},
		{"not with other large integers", exact, `[9007199254740993]`, `[9007199254740992]`, false},
		{"of the same label", label, `{"label":"cat","score":0.9}`, `{"label":"cat","score":0.8}`, true},
		{"not of another label", label, `{"label":"cat"}`, `{"label":"dog"}`, false},
		{"with the same largest numbers", top, `{"outputs":[{"data":[0.1,0.7,0.2]}]}`, `{"outputs":[{"data":[0.05,0.6,0.35]}]}`, true},
		{"not with them in another order", top, `{"outputs":[{"data":[0.1,0.7,0.2]}]}`, `{"outputs":[{"data":[0.1,0.4,0.5]}]}`, false},
		{"within a part of the largest", numeric, `{"outputs":[{"data":[[100],[0]]}]}`, `{"outputs":[{"data":[[100.9],[0.9]]}]}`, true},
		{"not beyond it", numeric, `{"outputs":[{"data":[100]}]}`, `{"outputs":[{"data":[101.1]}]}`, false},
		{"not with more numbers", numeric, `{"outputs":[{"data":[1]}]}`, `{"outputs":[{"data":[1,1]}]}`, false},
		{"of about one direction", cosine, `{"e":[1,0,0]}`, `{"e":[2,0.1,0]}`, true},
		{"not of another", cosine, `{"e":[1,0]}`, `{"e":[1,0.5]}`, false},
		{"not of other dimensions", cosine, `{"e":[1,0]}`, `{"e":[1,0,0]}`, false},
		{"of no direction both", cosine, `{"e":[0,0]}`, `{"e":[0,0]}`, true},
		{"not where one is nothing", cosine, `{"e":[0,0]}`, `{"e":[1,0]}`, false},
	} {
		t.Run(string(tt.by.By)+" "+tt.name, func(t *testing.T) {
			a, err := compare.Read(tt.by, []byte(tt.a))
			require.NoError(t, err)
			b, err := compare.Read(tt.by, []byte(tt.b))
			require.NoError(t, err)
			assert.Equal(t, tt.alike, a.Alike(tt.by, b))
			assert.Equal(t, tt.alike, b.Alike(tt.by, a))
			assert.True(t, a.Alike(tt.by, a))
			assert.Positive(t, a.Size())
		})
	}
}

func TestWhatCannotBeComparedIsNamed(t *testing.T) {
	numeric := config.Compare{By: config.CompareNumeric, Field: "a.1"}
	for body, want := range map[string]string{
		`Ann`:             "is no JSON",
		``:                "is no JSON",
		`{"a":1} {}`:      "goes on after its JSON",
		`{"b":1}`:         "has no field a.1",
		`{"a":[1]}`:       "has no field a.1",
		`{"a":3}`:         "has no field a.1",
		`{"a":[1,"Ann"]}`: `field "a.1": is neither a number nor a list of them`,
		`{"a":[1,1e999]}`: "is too large",
	} {
		_, err := compare.Read(numeric, []byte(body))
		assert.ErrorContains(t, err, want, body)
		assert.NotContains(t, err.Error(), "Ann", "errors are shown")
	}
	_, err := compare.Read(config.Compare{By: config.CompareDigest}, []byte(`{}`))
	assert.ErrorContains(t, err, "is not compared by digest")
}

func TestWhatIsHiddenIsComparedAndNotShown(t *testing.T) {
	c := config.Compare{By: config.CompareJSON, Hide: []string{"user.name", "list.secret"}, Ignore: []string{"id"}}
	a, err := compare.Read(c, []byte(`{"id":7,"user":{"name":"Ann","city":"Bern"},"list":[{"secret":1}]}`))
	require.NoError(t, err)
	b, err := compare.Read(c, []byte(`{"id":7,"user":{"name":"Bob","city":"Bern"},"list":[{"secret":1}]}`))
	require.NoError(t, err)
	assert.False(t, a.Alike(c, b))
	assert.JSONEq(t, `{"list":[{"secret":"(hidden)"}],"user":{"city":"Bern","name":"(hidden)"}}`, a.String())
	assert.Equal(t, a.String(), b.String())

	label := config.Compare{By: config.CompareLabel, Field: "user.name", Hide: []string{"user"}}
	v, err := compare.Read(label, []byte(`{"user":{"name":"Ann"}}`))
	require.NoError(t, err)
	assert.Equal(t, "(hidden)", v.String(), "with all that is in it")
}

func TestLongAnswersAreShownWhereTheyDiffer(t *testing.T) {
	read := func(body string) compare.Value {
		v, err := compare.Read(config.Compare{By: config.CompareJSON}, []byte(body))
		require.NoError(t, err)
		return v
	}
	long := strings.Repeat("ä", 500)
	a, b := compare.Shown(read(`["`+long+`","cat","`+long+`"]`), read(`["`+long+`","dog","`+long+`"]`))
	assert.Contains(t, a, `ä","cat","ä`)
	assert.Contains(t, b, `ä","dog","ä`)
	assert.Less(t, len(a)+len(b), 260)

	a, b = compare.Shown(read(`["`+long+long+`","`+long+`1"]`), read(`["`+long+long+`","`+long+`2"]`))
	assert.Equal(t, a, b, "what is too far on is not kept")
	assert.True(t, strings.HasPrefix(a, `["ä`))
	assert.Less(t, read(`"`+long+long+long+`"`).Size(), 3000)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"a":[1,{"b":"x"}]}`, "a.1.b")
	f.Add(`[]`, "0")
	f.Fuzz(func(t *testing.T, body, path string) {
		for _, by := range []config.Comparator{config.CompareJSON, config.CompareLabel, config.CompareTopK, config.CompareNumeric, config.CompareCosine} {
			c := config.Compare{By: by, Field: path, Top: 3, Hide: []string{path}, Ignore: []string{path + ".x"}}
			if v, err := compare.Read(c, []byte(body)); err == nil {
				require.True(t, v.Alike(c, v) || by == config.CompareCosine, "it is itself")
			}
		}
	})
}
