// Package canary is the rollout machine of one inference route: Step takes a
// state and an event and gives the next state and the effects to perform. It
// decides who is stable, when a candidate's share grows, and when it goes; it
// never reads a clock, a file or a socket, never judges evidence itself
// (analysis does), and never publishes, saves or notifies (canary/controller
// does).
//
// Growing is careful, shrinking is free: a growing share is saved before it is
// published, a falling one is published before it is saved.
//
// Start reading at the table in table.go, then Step in machine.go, then a story
// in testdata.
package canary
