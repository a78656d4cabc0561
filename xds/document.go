package xds

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Document is a resource as people read it.
type Document struct {
	Type    Type            `json:"type"`
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Body    json.RawMessage `json:"resource"` // Envoy's own JSON form
}

// Documents gives every resource in the order in which Envoy wants to hear of
// them, for people and for other tools. Equal resources give equal bytes.
func (r Resources) Documents() ([]Document, error) {
	var all []Document
	for _, l := range r.byType() {
		for _, resource := range l.list {
			message, err := (&anypb.Any{TypeUrl: string(l.typ), Value: resource.Body}).UnmarshalNew()
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", l.typ, resource.Name, err)
			}
			body, err := stableJSON(message)
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", l.typ, resource.Name, err)
			}
			all = append(all, Document{l.typ, resource.Name, resource.Version, body})
		}
	}
	return all, nil
}

// stableJSON is Envoy's JSON form without the random spaces that protojson puts
// in.
func stableJSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
