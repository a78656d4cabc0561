// Package controller is the one loop round the rollout machine: signals and
// verbs in, decisions taken by canary.Step, effects out. A Controller owns one
// inference route: its windows, its evidence, its watch and its state. Its
// methods are synchronous and take the time as an argument, so that a simulated
// world drives the same code; Run merely selects. A Manager has one Controller
// and one goroutine per inference route.
//
// It decides nothing: what is harmful is analysis's word, what to do about it is
// the machine's.
//
// Start reading at Controller.Handle, then Controller.Tick, then Manager.
package controller
