package stage

import "syscall"

// endWithParent asks the kernel to end a child whose parent was killed.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
