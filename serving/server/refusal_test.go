package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

func TestRefusals(t *testing.T) {
	input := func(fields string) string { return `{"inputs":[{"name":"in",` + fields + `}]}` }
	tests := []struct {
		name, path, body string
		header           []string
		status           int
		want             string
	}{
		{name: "an unknown model", path: "/v2/models/x/infer", status: 404, want: `model "x": not found, this server has "m"`},
		{name: "an unknown version", path: "/v2/models/m/versions/2/infer", status: 404, want: `model "m": version "2" not found, this server has "1"`},
		{name: "an unknown path", path: "/v3", status: 404, want: `path "/v3": not one of this protocol's, for POST`},
		{name: "no JSON", body: "x", status: 400, want: `body: invalid character 'x' looking for beginning of value`},
		{name: "an unknown field", body: `{"x":1}`, status: 400, want: `body: json: unknown field "x"`},
		{name: "more than one object", body: `{}{}`, status: 400, want: `body: more after the JSON object`},
		{name: "no input", body: `{}`, status: 400, want: `input "in": missing, the model takes INT32 [-1,2]`},
		{name: "another shape", body: input(`"datatype":"INT32","shape":[1,3],"data":[1,2,3]`), status: 400, want: `input "in": shape is [-1,2], found [1,3]`},
		{name: "another datatype", body: input(`"datatype":"FP32","shape":[1,2],"data":[1,2]`), status: 400, want: `input "in": datatype is INT32, found FP32`},
		{name: "no datatype of the protocol", body: input(`"datatype":"INT","shape":[1,2],"data":[1,2]`), status: 400, want: `input "in": datatype: not one of the protocol's, found "INT"`},
		{name: "too few elements", body: input(`"datatype":"INT32","shape":[1,2],"data":[1]`), status: 400, want: `input "in": 2 elements of INT32 are 8 bytes, found 4`},
		{name: "an element of another kind", body: input(`"datatype":"INT32","shape":[1,2],"data":[1,2.5]`), status: 400, want: `input "in": data: element 1 is no INT32, found 2.5`},
		{name: "an element too large", body: input(`"datatype":"INT8","shape":[1,2],"data":[1,200]`), status: 400, want: `input "in": data: element 1 is no INT8, found 200`},
		{name: "no data", body: input(`"datatype":"INT32","shape":[1,2]`), status: 400, want: `input "in": data: missing`},
		{name: "no array", body: input(`"datatype":"INT32","shape":[1,2],"data":1`), status: 400, want: `input "in": data: an array, found 1`},
		{name: "half precision as JSON", body: input(`"datatype":"FP16","shape":[1,2],"data":[1,2]`), status: 400, want: `input "in": data: FP16 has no JSON form, send it as binary data`},
		{name: "a parameter that would change nothing", body: `{"parameters":{"sequence_id":7}}`, status: 400, want: `parameters.sequence_id: not supported, found 7`},
		{name: "binary data that is not there", body: input(`"datatype":"INT32","shape":[1,2],"parameters":{"binary_data_size":8}`), status: 400, want: `input "in": parameters.binary_data_size: 8, but 0 bytes are left in the body`},
		{name: "data twice", body: input(`"datatype":"INT32","shape":[1,2],"data":[1,2],"parameters":{"binary_data_size":0}`), status: 400, want: `input "in": data: given twice, as JSON and as binary_data_size`},
		{name: "binary data that nobody owns", body: `{}xx`, header: []string{"Inference-Header-Content-Length", "2"}, status: 400, want: `body: 2 bytes behind the last input's binary data`},
		{name: "a header length beyond the body", body: `{}`, header: []string{"Inference-Header-Content-Length", "9"}, status: 400, want: `header Inference-Header-Content-Length: a length between 0 and the body's 2, found "9"`},
		{name: "a compressed body", body: `{}`, header: []string{"Content-Encoding", "gzip"}, status: 400, want: `header Content-Encoding: "gzip" is not supported, only identity is`},
		{name: "a body above the limit", body: strings.Repeat(" ", 2000), status: 413, want: `body: more than 1024 bytes`},
		{name: "an unknown output", body: `{"inputs":[{"name":"in","datatype":"INT32","shape":[1,2],"data":[1,2]}],"outputs":[{"name":"x"}]}`, status: 400, want: `output "x": the model has no such output`},
		{name: "more rows than a batch holds", body: input(`"datatype":"INT32","shape":[5,2],"data":[1,2,3,4,5,6,7,8,9,0]`), status: 400, want: `batch: between 1 and 4 items, found 5`},
		{name: "a negative time-out", body: `{"parameters":{"timeout":-1}}`, status: 400, want: `parameters.timeout: microseconds up to a day, found -1`},
		{name: "a time-out that is no number", body: row(1, 2), header: []string{"x-envoy-expected-rq-timeout-ms", "soon"}, status: 400, want: `header X-Envoy-Expected-Rq-Timeout-Ms: milliseconds, found "soon"`},
	}
	serve(t, fake.Config{PerItem: ms}, func(c *server.Config) { c.MaxBody = 1024 }, func(t *testing.T, w *world) {
		w.warm()
		for _, test := range tests {
			path := test.path
			if path == "" {
				path = "/v2/models/m/infer"
			}
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(test.body))
			for i := 0; i < len(test.header); i += 2 {
				r.Header.Set(test.header[i], test.header[i+1])
			}
			answer := w.do(r)
			assert.Equal(t, test.status, answer.Code, test.name)
			assert.Equal(t, test.want, errorOf(t, answer), test.name)
		}
	})
}
