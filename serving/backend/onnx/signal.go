package onnx

/*
#include <signal.h>
#include <stddef.h>

// Gives every handler the alternate stack that Go's threads need.
static void keep_signal_stacks(void) {
	for (int s = 1; s < NSIG; s++) {
		struct sigaction a;
		if (sigaction(s, NULL, &a) != 0 || a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN || (a.sa_flags & SA_ONSTACK))
			continue;
		a.sa_flags |= SA_ONSTACK;
		sigaction(s, &a, NULL);
	}
}
*/
import "C"

// keepSignalStacks repairs the handlers that a provider's libraries installed:
// without SA_ONSTACK, the first signal on one of Go's threads would end the
// process, and a drain begins with a signal. Providers load with the first
// session, so it is called after each.
func keepSignalStacks() { C.keep_signal_stacks() }
