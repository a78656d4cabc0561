package main

import (
	"errors"
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/api"
)

// verbHelp says what each verb does.
type verbHelp struct {
	name, short, long, example string
}

func verbHelps() []verbHelp {
	return []verbHelp{
		{
			"approve", "Open the gate that a rollout waits at",
			"Approve answers an approval step with yes. It names the hash of the gate's frozen review, as\n" +
				"'sluice status' prints it (gateHash in the review, not the file's own hash); it is refused if a verdict, a digest or the policy\n" +
				"changed since.",
			"  sluice approve ml/filetype --hash 3fa9c1d2e4b5 --reason 'labels checked by hand'",
		},
		{
			"reject", "Answer a gate with no: the rollout is rolled back",
			"Reject answers an approval step with no. Everything goes to the stable version at once.",
			"  sluice reject ml/filetype --reason 'wrong labels for CSV'",
		},
		{
			"promote", "Skip the present wait, or with --full all that is left",
			"Promote skips what the rollout waits for now: the rest of a step, or the bake. With --full it\n" +
				"skips every step and gate that is left, on promotion evidence, or with --override-evidence\n" +
				"without it. While it is blind, held or in doubt it needs --force; while it is tripped, --full\n" +
				"and --force. Nothing promotes a version without a ready endpoint. The review says so.",
			"  sluice promote ml/filetype --reason 'quiet hour'\n  sluice promote ml/filetype --full --override-evidence --reason 'hotfix 4711'",
		},
		{
			"hold", "Stop growth; shrinking goes on",
			"Hold keeps the candidate's share from growing until 'sluice resume'. Harm still rolls back.",
			"  sluice hold ml/filetype --reason 'wait for the on-call'",
		},
		{
			"resume", "End a hold, or send an unsettled trip back to the first step",
			"Resume ends a hold. After a trip that nothing settled it goes on at the first step.",
			"  sluice resume ml/filetype --reason 'checked by hand'",
		},
		{
			"abort", "End the current rollout: everything to stable, at once",
			"Abort always works: no gate, pause, missing metric or unready endpoint can hold it. An A/B test\n" +
				"ends likewise; its arms keep their shares until another strategy is written.",
			"  sluice abort ml/filetype --reason 'wrong model'",
		},
		{
			"rollback", "Leave the current rollout, or a promoted version, for the former stable",
			"Rollback is abort while a rollout runs. After a promotion it brings the former stable version\n" +
				"back to 100% at once. It refuses to go to a version without a ready endpoint, unless --force.",
			"  sluice rollback ml/filetype --reason 'complaints'",
		},
		{
			"retry", "Try a target again that was rolled back",
			"Retry begins a new rollout of the same target at its first step.",
			"  sluice retry ml/filetype --reason 'the node was broken, not the model'",
		},
	}
}

func newVerbs() []*cobra.Command {
	var commands []*cobra.Command
	for _, help := range verbHelps() {
		commands = append(commands, newVerb(help))
	}
	return commands
}

func newVerb(help verbHelp) *cobra.Command {
	var v api.Verb
	var output string
	cmd := &cobra.Command{
		Use:     help.name + " [NAMESPACE/]NAME --reason TEXT",
		GroupID: "act",
		Short:   help.short,
		Long:    help.long + "\n\nThe actor, the time and the reason go into the decision log and the review.",
		Example: help.example,
		Args:    oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	f := cmd.Flags()
	f.StringVar(&v.Reason, "reason", "", "why; it goes into the review (required)")
	f.StringVar(&v.Actor, "actor", currentUser(), "who asks")
	switch help.name {
	case "approve":
		f.StringVar(&v.Hash, "hash", "", "hash of the review that is approved (required)")
		if err := cmd.RegisterFlagCompletionFunc("hash", t.completeOf(gateOf)); err != nil {
			panic(err) // the flag was added one line above
		}
	case "promote":
		f.BoolVar(&v.Full, "full", false, "skip every step and gate that is left")
		f.BoolVar(&v.OverrideEvidence, "override-evidence", false, "with --full: without the promotion evidence")
		f.BoolVar(&v.Force, "force", false, "even while it is blind, held or in doubt; with --full, even while it is tripped")
	case "rollback":
		f.BoolVar(&v.Force, "force", false, "even to a version without a ready endpoint")
	}
	outputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := v.Event(help.name, time.Time{}); err != nil {
			// The API's fields are named as in JSON, flags as on a command line.
			typed := strings.NewReplacer("needs full", "needs --full", "overrideEvidence", "override-evidence")
			return errors.New("--" + typed.Replace(err.Error()))
		}
		client, key, err := t.find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		answer, err := client.Do(cmd.Context(), key, help.name, v)
		if err != nil {
			return failure(err)
		}
		if output != "" {
			return printObject(cmd.OutOrStdout(), output, answer)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), answer.Text)
		return failure(err)
	}
	return cmd
}

// currentUser is the default actor.
func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
