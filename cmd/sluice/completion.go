package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/controller"
)

// completeTime is how long a shell waits for names.
const completeTime = time.Second

// completer proposes what comes next on a command line.
type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeRoutes proposes inference routes that the running control plane knows,
// up to so many on a command line. Where none runs it proposes nothing.
func (t *target) completeRoutes(most int) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, s := range t.glance(cmd.Context()) {
			if name := s.State.Route.String(); !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeOf proposes what one named inference route has.
func (t *target) completeOf(list func(controller.Snapshot) []cobra.Completion) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		known := t.glance(cmd.Context())
		key, err := pick(args[0], known)
		for _, s := range known {
			if err == nil && s.State.Route == key {
				return list(s), cobra.ShellCompDirectiveNoFileComp
			}
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// glance gives all inference routes, or none where nothing answers.
func (t *target) glance(ctx context.Context) []controller.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	client, err := t.client()
	if err != nil {
		return nil
	}
	defer client.Close()
	list, err := client.List(ctx)
	if err != nil {
		return nil // a shell that waits for names has no use for it
	}
	return list
}

// rolloutsOf an inference route, newest first.
func rolloutsOf(s controller.Snapshot) (ids []cobra.Completion) {
	if r := s.State.Rollout; r != nil {
		ids = append(ids, r.ID)
	}
	for _, f := range s.State.History {
		ids = append(ids, cobra.CompletionWithDesc(f.ID, f.Outcome.Words()+": "+firstLine(f.Reason)))
	}
	return ids
}

// gateOf an inference route that waits for an approval.
func gateOf(s controller.Snapshot) []cobra.Completion {
	if r := s.State.Rollout; r != nil && r.Gate != nil {
		return []cobra.Completion{r.Gate.Hash}
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
