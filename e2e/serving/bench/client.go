package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/serving/element"
	"github.com/sluice-dev/sluice/serving/oippb"
)

// errRefused is an answer that says: not now.
var errRefused = errors.New("refused")

// asker sends one row and gives the first output's raw data. It tells the server
// a time-out of its own; 0 tells none.
type asker func(ctx context.Context, row int, told time.Duration) ([]byte, error)

const timeoutHeader = "X-Envoy-Expected-Rq-Timeout-Ms"

func grpcAsker(m *model, address string) (asker, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	client := oippb.NewGRPCInferenceServiceClient(conn)
	return func(ctx context.Context, row int, told time.Duration) ([]byte, error) {
		if told > 0 {
			ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(timeoutHeader), strconv.FormatInt(told.Milliseconds(), 10))
		}
		t := m.tensor(row)
		r, err := client.ModelInfer(ctx, &oippb.ModelInferRequest{
			ModelName: m.name, RawInputContents: [][]byte{t.Data},
			Inputs: []*oippb.ModelInferRequest_InferInputTensor{{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape}},
		})
		switch {
		case status.Code(err) == codes.ResourceExhausted:
			return nil, errRefused
		case err != nil:
			return nil, err
		case len(r.GetRawOutputContents()) > 0:
			return r.GetRawOutputContents()[0], nil
		}
		o := r.GetOutputs()[0]
		return oippb.Pack("FP32", o.GetContents())
	}, nil
}

// rest posts bodies that were made before.
func rest(url, headerLength string, bodies [][]byte, read func(*http.Response) ([]byte, error)) asker {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return func(ctx context.Context, row int, told time.Duration) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(bodies[row%len(bodies)]))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		if told > 0 {
			r.Header.Set(timeoutHeader, strconv.FormatInt(told.Milliseconds(), 10))
		}
		if headerLength != "" {
			r.Header.Set("Inference-Header-Content-Length", headerLength)
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusOK:
			return read(answer)
		case http.StatusTooManyRequests:
			_, err := io.Copy(io.Discard, answer.Body)
			return nil, errors.Join(errRefused, err)
		}
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
}

func binaryAsker(m *model, url string) asker {
	head := fmt.Sprintf(`{"parameters":{"binary_data_output":true},"inputs":[`+
		`{"name":%q,"datatype":%q,"shape":[1,%d],"parameters":{"binary_data_size":%d}}]}`,
		m.input, m.datatype, m.width, 4*m.width)
	var bodies [][]byte
	for _, row := range m.rows {
		bodies = append(bodies, append([]byte(head), row...))
	}
	return rest(url, strconv.Itoa(len(head)), bodies, func(r *http.Response) ([]byte, error) {
		body, err := io.ReadAll(r.Body)
		n, _ := strconv.Atoi(r.Header.Get("Inference-Header-Content-Length"))
		return body[min(n, len(body)):], err
	})
}

func jsonAsker(m *model, url string) (asker, error) {
	var bodies [][]byte
	for row := range m.rows {
		data, err := element.Append(nil, m.tensor(row))
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, fmt.Appendf(nil, `{"inputs":[{"name":%q,"datatype":%q,"shape":[1,%d],"data":%s}]}`, m.input, m.datatype, m.width, data))
	}
	return rest(url, "", bodies, func(r *http.Response) ([]byte, error) {
		var answer struct {
			Outputs []struct {
				Data json.RawMessage `json:"data"`
			} `json:"outputs"`
		}
		if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
			return nil, err
		}
		return element.Parse("FP32", bytes.TrimSpace(answer.Outputs[0].Data))
	}), nil
}

// checkedShare is how many answers are compared: one in so many.
const checkedShare = 16

// offer sends the arrivals of a run and waits for what becomes of them.
func (o options) offer(ctx context.Context, m *model, ask asker, rate float64) result {
	instants := poisson(rate, o.seconds)
	r := result{Sent: len(instants)}
	var mu sync.Mutex
	var out sync.WaitGroup
	began := time.Now()
	for i, at := range instants {
		due := began.Add(at)
		time.Sleep(time.Until(due))
		out.Go(func() {
			ctx, cancel := context.WithDeadline(ctx, due.Add(o.deadline))
			defer cancel()
			got, err := ask(ctx, i, o.deadline)
			latency := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errRefused):
				r.Refused++
			case err != nil:
				r.Failed++
			case i%checkedShare == 0 && !near(got, m.want[i%len(m.want)]):
				r.Wrong++
			default:
				r.answered(latency, o.deadline)
			}
		})
	}
	out.Wait()
	return r
}

// askers keeps so many requests under way for a while and counts what comes of
// them. Their answers are not compared.
func (o options) askers(ctx context.Context, n int, told time.Duration, ask asker) result {
	var r result
	var mu sync.Mutex
	var out sync.WaitGroup
	end := time.Now().Add(time.Duration(o.seconds * float64(time.Second)))
	for first := range n {
		out.Go(func() {
			for i := first; time.Now().Before(end); i += n {
				_, err := ask(ctx, i, told)
				mu.Lock()
				r.Sent++
				switch {
				case errors.Is(err, errRefused):
					r.Refused++
				case err != nil:
					r.Failed++
				default:
					r.Good++
				}
				mu.Unlock()
			}
		})
	}
	out.Wait()
	return r
}
