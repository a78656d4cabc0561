package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/element"
)

// encode writes the answer: JSON, then the raw outputs asked for. The length
// of the JSON part is given.
func encode(model, version string, r *request, outputs []serving.Tensor) (body []byte, jsonLength int, err error) {
	list := r.selected(outputs)
	body = append(body, `{"model_name":`...)
	body = appendString(body, model)
	body = append(body, `,"model_version":`...)
	body = appendString(body, version)
	if r.id != "" {
		body = append(body, `,"id":`...)
		body = appendString(body, r.id)
	}
	body = append(body, `,"outputs":[`...)
	for i, o := range list {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = appendOutput(body, o); err != nil {
			return nil, 0, failure(http.StatusInternalServerError, "output %q: %v", o.Name, err)
		}
	}
	body = append(body, `]}`...)
	jsonLength = len(body)
	for _, o := range list {
		if o.binary {
			body = append(body, o.Data...)
		}
	}
	return body, jsonLength, nil
}

// output is a tensor and the form it is wanted in.
type output struct {
	serving.Tensor
	binary bool
}

// selected are the outputs in the order in which the caller named them. Their
// names were checked before the model ran.
func (r *request) selected(outputs []serving.Tensor) []output {
	list := make([]output, 0, len(outputs))
	if len(r.outputs) == 0 {
		for _, t := range outputs {
			list = append(list, output{t, r.binary})
		}
		return list
	}
	for _, w := range r.outputs {
		i := slices.IndexFunc(outputs, func(t serving.Tensor) bool { return t.Name == w.name })
		list = append(list, output{outputs[i], w.binary})
	}
	return list
}

func appendOutput(body []byte, o output) ([]byte, error) {
	body = append(body, `{"name":`...)
	body = appendString(body, o.Name)
	body = append(body, `,"datatype":`...)
	body = appendString(body, string(o.Datatype))
	body = append(body, `,"shape":`...)
	body = append(body, o.Shape.String()...)
	if o.binary {
		body = append(body, `,"parameters":{"binary_data_size":`...)
		body = strconv.AppendInt(body, int64(len(o.Data)), 10)
		return append(body, `}}`...), nil
	}
	body = append(body, `,"data":`...)
	body, err := element.Append(body, o.Tensor)
	return append(body, '}'), err
}

func appendString(body []byte, s string) []byte {
	text, _ := json.Marshal(s) //nolint:errchkjson // a string has no error
	return append(body, text...)
}
