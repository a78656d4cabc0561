package onnx

import (
	"errors"
	"fmt"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

// Provider is what computes a model.
type Provider string

// The providers. All but CPU need a library that was built with them, and their
// own libraries beside it.
const (
	CPU      Provider = "cpu"
	CUDA     Provider = "cuda"
	TensorRT Provider = "tensorrt" // what it cannot compute CUDA does
)

// ParseProvider reads a provider's name.
func ParseProvider(name string) (Provider, error) {
	switch p := Provider(name); p {
	case CPU, CUDA, TensorRT:
		return p, nil
	}
	return "", fmt.Errorf("provider: one of %s, %s, %s, found %q", CPU, CUDA, TensorRT, name)
}

// accelerated says whether runs leave the processor.
func (p Provider) accelerated() bool { return p == CUDA || p == TensorRT }

// choose sets the provider in a session's options. Without the last entry a
// provider that cannot be loaded, or a node that it does not know, would be
// computed by the processor without a word.
func (p Provider) choose(o *ort.SessionOptions, device int) error {
	if !p.accelerated() {
		return nil
	}
	if p == TensorRT {
		if err := appendTensorRT(o, device); err != nil {
			return err
		}
	}
	return errors.Join(appendCUDA(o, device), o.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"))
}

func appendCUDA(o *ort.SessionOptions, device int) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy() //nolint:errcheck // frees memory, cannot fail
	err = cuda.Update(map[string]string{
		"device_id": strconv.Itoa(device), "arena_extend_strategy": "kSameAsRequested",
	})
	if err != nil {
		return err
	}
	return o.AppendExecutionProviderCUDA(cuda)
}

func appendTensorRT(o *ort.SessionOptions, device int) error {
	trt, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer trt.Destroy() //nolint:errcheck // frees memory, cannot fail
	if err := trt.Update(map[string]string{"device_id": strconv.Itoa(device)}); err != nil {
		return err
	}
	return o.AppendExecutionProviderTensorRT(trt)
}
