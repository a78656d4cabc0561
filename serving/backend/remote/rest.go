package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/element"
)

// overREST is the protocol's REST half. Tensors travel raw where the server says
// that it knows the binary tensor extension, and otherwise as JSON.
type overREST struct {
	client *http.Client
	root   string // as far as /v2
	model  string // its path
	binary bool
}

// headerLength is the length of the JSON part of a body with raw tensors.
const headerLength = "Inference-Header-Content-Length"

func newREST(u *url.URL, c Config) *overREST {
	r := &overREST{client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}} //nolint:forcetypeassert // it is one
	r.root = strings.TrimSuffix(u.String(), "/") + "/v2"
	r.model = r.root + "/models/" + url.PathEscape(c.Model)
	if c.Version != "" {
		r.model += "/versions/" + url.PathEscape(c.Version)
	}
	return r
}

func (r *overREST) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

type tensorJSON struct {
	Name       string           `json:"name"`
	Datatype   serving.Datatype `json:"datatype"`
	Shape      serving.Shape    `json:"shape"`
	Data       json.RawMessage  `json:"data,omitempty"`
	Parameters *tensorForm      `json:"parameters,omitempty"`
}

type tensorForm struct {
	Size *int `json:"binary_data_size,omitempty"`
}

type metadataJSON struct {
	Extensions []string     `json:"extensions"`
	Inputs     []tensorJSON `json:"inputs"`
	Outputs    []tensorJSON `json:"outputs"`
}

func (r *overREST) describe(ctx context.Context) (serving.Signature, error) {
	var server, model metadataJSON
	err := errors.Join(r.get(ctx, r.root, &server), r.get(ctx, r.model, &model), r.get(ctx, r.model+"/ready", nil))
	if err != nil {
		return serving.Signature{}, err
	}
	r.binary = slices.Contains(server.Extensions, "binary_tensor_data")
	specs := func(list []tensorJSON) []serving.Spec {
		out := make([]serving.Spec, len(list))
		for i, t := range list {
			out[i] = serving.Spec{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape}
		}
		return out
	}
	return serving.Signature{Inputs: specs(model.Inputs), Outputs: specs(model.Outputs)}, nil
}

func (r *overREST) get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	body, _, err := r.do(request)
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	return err
}

// do gives the body of a 200 and its header.
func (r *overREST) do(request *http.Request) ([]byte, http.Header, error) {
	response, err := r.client.Do(request)
	switch {
	case err != nil && request.Context().Err() != nil:
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", serving.ErrUnavailable, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, excerpt(body))
		if response.StatusCode == http.StatusServiceUnavailable {
			err = fmt.Errorf("%w: %w", serving.ErrUnavailable, err)
		}
	}
	return body, response.Header, err
}

func excerpt(body []byte) string {
	const most = 300
	return strings.TrimSpace(string(body[:min(len(body), most)]))
}

func (r *overREST) infer(ctx context.Context, inputs []serving.Tensor) ([]serving.Tensor, error) {
	body, header, err := r.write(inputs)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.model+"/infer", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if r.binary {
		request.Header.Set("Content-Type", "application/octet-stream")
		request.Header.Set(headerLength, strconv.Itoa(header))
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header))
	answer, headers, err := r.do(request)
	if err != nil {
		return nil, err
	}
	return read(answer, headers.Get(headerLength))
}

// write gives a request's body and the length of its JSON part.
func (r *overREST) write(inputs []serving.Tensor) (body []byte, header int, err error) {
	list := make([]tensorJSON, len(inputs))
	for i, t := range inputs {
		list[i] = tensorJSON{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape}
		if r.binary {
			size := len(t.Data)
			list[i].Parameters = &tensorForm{Size: &size}
			continue
		}
		if list[i].Data, err = element.Append(nil, t); err != nil {
			return nil, 0, fmt.Errorf("input %q: %w", t.Name, err)
		}
	}
	message := map[string]any{"inputs": list}
	if r.binary {
		message["parameters"] = map[string]any{"binary_data_output": true}
	}
	if body, err = json.Marshal(message); err != nil {
		return nil, 0, err
	}
	header = len(body)
	for _, t := range inputs {
		if r.binary {
			body = append(body, t.Data...)
		}
	}
	return body, header, nil
}

// read takes an answer apart, in whatever form each output comes.
func read(body []byte, headerText string) ([]serving.Tensor, error) {
	raw := []byte(nil)
	if headerText != "" {
		n, err := strconv.Atoi(headerText)
		if err != nil || n < 0 || n > len(body) {
			return nil, fmt.Errorf("header %s: a length up to the body's %d, found %q", headerLength, len(body), headerText)
		}
		body, raw = body[:n], body[n:]
	}
	var answer struct {
		Outputs []tensorJSON `json:"outputs"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	tensors := make([]serving.Tensor, len(answer.Outputs))
	for i, o := range answer.Outputs {
		t := serving.Tensor{Name: o.Name, Datatype: o.Datatype, Shape: o.Shape}
		var err error
		if o.Parameters != nil && o.Parameters.Size != nil {
			size := *o.Parameters.Size
			if size < 0 || size > len(raw) {
				return nil, fmt.Errorf("output %q: binary_data_size: %d, but %d bytes are left", o.Name, size, len(raw))
			}
			t.Data, raw = raw[:size:size], raw[size:]
		} else if t.Data, err = element.Parse(o.Datatype, bytes.TrimSpace(o.Data)); err != nil {
			return nil, fmt.Errorf("output %q: %w", o.Name, err)
		}
		tensors[i] = t
	}
	return tensors, nil
}
