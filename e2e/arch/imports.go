package arch

import (
	"fmt"
	"slices"
	"strings"
)

// row says which of our packages one product package may import, and why no
// more. Tests may also import from their own top-level folder and from e2e.
type row struct {
	may []string
	why string
}

// Reasons that several rows share.
const (
	whyConfig    = "config is what a user can write; whoever reads it depends on it, never the other way round"
	whyXDS       = "xds turns intent into Envoy resources and knows nothing of rollouts: canary and xds never meet"
	whyCanary    = "cmd hands the ADS server to the controller as its Publisher: canary and xds never meet"
	whyAnalysis  = "analysis judges what was seen and cannot know what is decided from it"
	whyServing   = "serving stands alone: an inference server works behind any router"
	whyOneFolder = "a leaf touches the world for the package above it and for nobody else"
)

// allowed has one row per product package. cmd and e2e stand above all and may
// import anything; nothing imports them.
func allowed() map[string]row {
	return map[string]row{
		"config":          {nil, whyConfig},
		"config/file":     {[]string{"config"}, whyConfig},
		"config/v1alpha1": {[]string{"config"}, whyConfig},
		"config/kube":     {[]string{"config", "config/v1alpha1"}, whyConfig},

		"xds/name":  {[]string{"config"}, "everyone reads names and stamps, so they depend on almost nothing"},
		"xds":       {[]string{"config", "xds/name"}, whyXDS},
		"xds/ads":   {[]string{"config", "xds", "xds/name"}, whyXDS},
		"xds/envoy": {[]string{"config", "xds", "xds/name"}, whyXDS},
		"xds/mesh":  {[]string{"config", "config/v1alpha1", "xds/name"}, whyXDS},

		"analysis":           {[]string{"config", "analysis/compare", "xds/name"}, whyAnalysis},
		"analysis/compare":   {[]string{"config"}, "it compares two answers and knows nothing of how many there are"},
		"analysis/accesslog": {[]string{"config", "analysis", "xds/name"}, whyAnalysis},
		"analysis/outcome":   {[]string{"config", "analysis", "xds/name"}, whyAnalysis},
		"analysis/prom":      {[]string{"config", "analysis", "xds/name"}, whyAnalysis},
		"analysis/replay":    {[]string{"config", "analysis", "xds/name"}, whyAnalysis},
		"analysis/tap":       {[]string{"config", "analysis", "xds/name"}, whyAnalysis},

		"canary":        {[]string{"config", "analysis", "xds/name"}, whyCanary},
		"canary/review": {[]string{"config", "analysis", "canary", "xds/name"}, whyCanary},
		"canary/review/archive": {
			[]string{"config", "analysis", "canary", "canary/controller", "canary/review", "xds/name"}, whyOneFolder,
		},
		"canary/controller": {[]string{"config", "analysis", "canary", "canary/review", "xds/name"}, whyCanary},
		"canary/world":      {[]string{"config", "analysis", "canary", "canary/controller", "xds/name"}, whyCanary},
		"canary/forecast": {
			[]string{"config", "analysis", "canary", "canary/controller", "canary/world"},
			"it tries rollouts in worlds, and nothing that runs in earnest needs it",
		},
		"canary/filestore": {[]string{"config", "analysis", "canary", "canary/review", "xds/name"}, whyOneFolder},
		"canary/kubestore": {
			[]string{"config", "config/v1alpha1", "analysis", "canary", "canary/review", "xds/name"}, whyOneFolder,
		},
		"canary/api":    {[]string{"config", "analysis", "canary", "canary/controller", "canary/review", "xds/name"}, whyCanary},
		"canary/notify": {[]string{"config", "analysis", "canary", "canary/review", "xds/name"}, whyOneFolder},
		"canary/probe":  {[]string{"config", "analysis", "canary", "xds/name"}, whyOneFolder},

		"serving":         {nil, whyServing},
		"serving/magika":  {nil, whyServing},
		"serving/sketch":  {nil, whyServing},
		"serving/element": {[]string{"serving"}, whyServing},
		"serving/oippb":   {[]string{"serving"}, whyServing},
		"serving/server": {
			[]string{"serving", "serving/element", "serving/oippb", "serving/server/orca", "serving/sketch"}, whyServing,
		},
		"serving/server/orca": {[]string{"serving"}, "a load report's form is for load balancers; what is in it serving decides"},
		"serving/server/passthrough": {
			[]string{"serving", "serving/server/orca"}, "it passes through what it does not read, so it knows no protocol of ours",
		},
		"serving/server/fault":   {[]string{"serving", "serving/oippb", "serving/server"}, "faults wrap the server, which knows nothing of them"},
		"serving/backend/fake":   {[]string{"serving"}, whyServing},
		"serving/backend/onnx":   {[]string{"serving"}, whyServing},
		"serving/backend/remote": {[]string{"serving", "serving/element", "serving/oippb"}, whyServing},
	}
}

func checkProductImports(h *house) []Violation {
	rows := allowed()
	vs := missingRows(h, rows)
	for _, im := range h.imports {
		to, ours := strings.CutPrefix(im.path, module+"/")
		if why := forbidden(im, to, rows); ours && why != "" {
			vs = append(vs, im.violation(fmt.Sprintf("%s imports %s", im.from, to), why))
		}
	}
	return vs
}

func missingRows(h *house, rows map[string]row) []Violation {
	var vs []Violation
	for _, p := range h.packages {
		if _, ok := rows[p.path]; !ok && !aboveAll(p.path) {
			vs = append(vs, Violation{
				File: p.path, Fact: "has no row in e2e/arch/imports.go",
				Reason: "a folder needs an import rule of its own to exist",
			})
		}
	}
	return vs
}

// forbidden says why the import of our package to is none that its package may
// have; it is empty for the others.
func forbidden(im importSpec, to string, rows map[string]row) (why string) {
	top, _, _ := strings.Cut(im.from, "/")
	r, listed := rows[im.from]
	switch {
	case im.test && (under(to, top) || under(to, "e2e")):
		return ""
	case under(im.from, "cmd") && under(to, "e2e"):
		return "what is shipped does not contain its tests"
	case aboveAll(im.from), !listed, slices.Contains(r.may, to):
		return ""
	}
	return r.why
}

func aboveAll(path string) bool { return under(path, "cmd") || under(path, "e2e") }

// library is a family of foreign modules that only some folders know.
type library struct {
	name    string
	modules []string // import path prefixes
	but     []string // prefixes that are none of it
	folders []string // who may import it, with their subfolders; e2e always may
	why     string
}

func libraries() []library {
	return []library{
		{
			name:    "Envoy's protobufs",
			modules: []string{"github.com/envoyproxy", "github.com/cncf/xds", "github.com/cncf/udpa"},
			folders: []string{"xds", "analysis/accesslog", "analysis/tap", "serving/server/orca"},
			why:     "Envoy's types are turned into ours at the border and go no further, so the core outlives them",
		},
		{
			name:    "Kubernetes",
			modules: []string{"k8s.io", "sigs.k8s.io"},
			but:     []string{"sigs.k8s.io/yaml"}, // a YAML library, whatever its address
			folders: []string{"config/kube", "config/v1alpha1", "canary/kubestore", "xds/mesh", "cmd"},
			why:     "Sluice runs without a cluster; what knows one is a leaf that could be left out",
		},
		{
			name:    "ONNX Runtime",
			modules: []string{"github.com/yalue/onnxruntime_go"},
			folders: []string{"serving/backend/onnx"},
			why:     "it needs cgo, and bin/sluice is one static binary",
		},
	}
}

func checkLibraryImports(h *house) []Violation {
	var vs []Violation
	for _, lib := range libraries() {
		for _, im := range h.imports {
			known := under(im.from, "e2e") || underAny(im.from, lib.folders)
			if !known && underAny(im.path, lib.modules) && !underAny(im.path, lib.but) {
				fact := fmt.Sprintf("%s imports %s, which is %s", im.from, im.path, lib.name)
				vs = append(vs, im.violation(fact, lib.why))
			}
		}
	}
	return vs
}

// checkAliases wants Envoy's generated packages named …pb, or imported blank to
// register their types.
func checkAliases(h *house) []Violation {
	generated := []string{"github.com/envoyproxy/go-control-plane/envoy", "github.com/cncf/xds/go"}
	var vs []Violation
	for _, im := range h.imports {
		if underAny(im.path, generated) && !strings.HasSuffix(im.name, "pb") && im.name != "_" {
			vs = append(vs, im.violation(fmt.Sprintf("imports %s as %q", im.path, im.name),
				"forty packages of Envoy's are called v3; …pb says what it is and that it is theirs"))
		}
	}
	return vs
}
