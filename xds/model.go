package xds

import (
	"slices"

	jsonpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/json_to_metadata/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sluice-dev/sluice/config"
)

const (
	// modelBody bounds the bodies that are read for the model's name; longer ones are
	// answered 413.
	modelBody = 16 << 20
	// jsonBody is a content type of JSON, with whatever parameters.
	jsonBody = `(?i)application/json\s*(;.*)?`

	modelNamespace = "sluice"
	modelKey       = "model"
)

// models says whether a request's body may decide where it goes.
func (p port) models() bool {
	return slices.ContainsFunc(p.routes, func(in intent) bool {
		return slices.ContainsFunc(in.Matches, func(m config.Match) bool { return m.Model != "" })
	})
}

// modelReader waits for JSON bodies, notes the model that they name, and has the
// route chosen again.
func modelReader() *jsonpb.JsonToMetadata {
	return &jsonpb.JsonToMetadata{RequestRules: &jsonpb.JsonToMetadata_MatchRules{
		Rules: []*jsonpb.JsonToMetadata_Rule{{
			Selectors: []*jsonpb.JsonToMetadata_Selector{{Selector: &jsonpb.JsonToMetadata_Selector_Key{Key: "model"}}},
			OnPresent: &jsonpb.JsonToMetadata_KeyValuePair{
				MetadataNamespace: modelNamespace, Key: modelKey, Type: jsonpb.JsonToMetadata_STRING,
			},
		}},
		AllowContentTypesRegex: &matcherpb.RegexMatcher{Regex: jsonBody},
	}}
}

func modelIs(model string) *matcherpb.MetadataMatcher {
	return &matcherpb.MetadataMatcher{
		Filter: modelNamespace,
		Path:   []*matcherpb.MetadataMatcher_PathSegment{{Segment: &matcherpb.MetadataMatcher_PathSegment_Key{Key: modelKey}}},
		Value:  &matcherpb.ValueMatcher{MatchPattern: &matcherpb.ValueMatcher_StringMatch{StringMatch: exactly(model)}},
	}
}
