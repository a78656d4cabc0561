package xds

import (
	"encoding/json"
	"fmt"

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
	for _, kind := range []struct {
		t    Type
		list []Resource
	}{
		{TypeCluster, r.Clusters},
		{TypeEndpoint, r.Endpoints},
		{TypeListener, r.Listeners},
		{TypeScope, r.Scopes},
		{TypeRoute, r.Routes},
	} {
		for _, resource := range kind.list {
			message, err := (&anypb.Any{TypeUrl: string(kind.t), Value: resource.Body}).UnmarshalNew()
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", kind.t, resource.Name, err)
			}
			body, err := stableJSON(message)
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", kind.t, resource.Name, err)
			}
			all = append(all, Document{kind.t, resource.Name, resource.Version, body})
		}
	}
	return all, nil
}
