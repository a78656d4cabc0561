package canary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// given is what a rollout is given when it begins, and keeps.
type given struct {
	Steps     []config.Step     `json:"steps"`
	Bake      config.Duration   `json:"bake"`
	Mirroring config.Mirroring  `json:"mirroring"`
	Policy    config.PolicySpec `json:"policy"`
}

// named is how many differences Kept names.
const named = 4

// Kept says in one clause what the rollout that runs keeps of its configuration where a
// newer one, which is in force, says otherwise. Empty where nothing.
func (s State) Kept(route config.RouteSpec) string {
	r := s.Rollout
	if r == nil || r.Direct || route.Strategy.Canary == nil {
		return ""
	}
	is := given{r.Steps, r.Bake, r.Mirroring, r.Policy}
	written := given{route.Strategy.Canary.Steps, route.Strategy.Canary.Bake, route.Mirroring, s.Policy}
	if reflect.DeepEqual(is, written) {
		return ""
	}
	list := differences(fields(is), fields(written))
	if len(list) == 0 { // as where there is no list of something, or an empty one
		return ""
	}
	if more := len(list) - named; more > 0 {
		list = append(list[:named:named], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("rollout %s keeps what it began with, and the next one takes what is written now: %s", r.ID, strings.Join(list, ", "))
}

// differences are the fields that two sides write otherwise, in order.
func differences(is, written map[string]string) []string {
	all := maps.Clone(is)
	maps.Copy(all, written)
	var list []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		switch a, b := is[path], written[path]; {
		case a == b:
		case a == "":
			list = append(list, fmt.Sprintf("no %s (written: %s)", path, b))
		case b == "":
			list = append(list, fmt.Sprintf("%s %s (not written)", path, a))
		default:
			list = append(list, fmt.Sprintf("%s %s (written: %s)", path, a, b))
		}
	}
	return list
}

// fields are the values of what a user can write, by their path.
func fields(of any) map[string]string {
	data, err := json.Marshal(of)
	if err != nil {
		panic(err) // what was parsed can be written
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		panic(err) // it was written above
	}
	all := map[string]string{}
	flatten("", tree, all)
	return all
}

func flatten(path string, node any, into map[string]string) {
	switch node := node.(type) {
	case map[string]any:
		for name, below := range node {
			flatten(strings.TrimPrefix(path+"."+name, "."), below, into)
		}
	case []any:
		for i, below := range node {
			flatten(fmt.Sprintf("%s[%d]", path, i), below, into)
		}
	case nil:
	default:
		into[path] = fmt.Sprint(node)
	}
}
