package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"os"
	"path/filepath"
	"text/template"

	"github.com/sluice-dev/sluice/e2e/stage"
)

//go:embed policy.yaml
var policyYAML []byte

//go:embed route.yaml.tmpl
var routeTemplate string

// manifest is an inference route as a person would write it.
type manifest struct {
	Story     story
	Namespace string
	Model     string
	Port      uint32
	Versions  []version // stable, then candidate
	Target    string
}

// version is one version of the model and where it is served.
type version struct {
	Name      string
	Endpoints []string
	Digest    string // sha256 of the model, hex
}

// write puts the manifest into a folder of manifests, whole.
func (m manifest) write(folder string) error {
	t, err := template.New("route").Parse(routeTemplate)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, m); err != nil {
		return err
	}
	return stage.Replace(filepath.Join(folder, m.Story.Name+".yaml"), text.Bytes())
}

// digest of a file, in hex.
func digest(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}
