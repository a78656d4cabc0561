package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// served is a server that keeps the names of what it was given, each time.
type served struct{ names [][]string }

func (s *served) Publish(c *config.Config, _ map[config.Key]config.Split) error {
	var names []string
	for _, r := range c.Routes {
		names = append(names, r.Name)
	}
	s.names = append(s.names, names)
	return nil
}

func named(name string) config.InferenceRoute {
	return config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: name}}
}

func TestARouteThatIsRenamedIsServedThroughout(t *testing.T) {
	s := &served{}
	p := newPublisher(s)
	require.NoError(t, p.open())
	require.NoError(t, p.Publish(named("old"), config.Split{}))
	s.names = nil
	p.edit(nil)
	p.Withdraw(named("old").Key)
	require.NoError(t, p.Publish(named("new"), config.Split{}))
	p.edited()
	require.Equal(t, [][]string{{"new"}}, s.names, "at no time is neither")

	p.edit(nil)
	p.Withdraw(named("new").Key)
	require.Len(t, s.names, 1)
	p.edited()
	require.Equal(t, [][]string{{"new"}, nil}, s.names, "what goes alone goes at the end")

	require.NoError(t, p.Publish(named("late"), config.Split{}))
	p.Withdraw(named("late").Key)
	require.Equal(t, [][]string{{"new"}, nil, {"late"}, nil}, s.names, "or at once, if its store held it up for longer")
}
