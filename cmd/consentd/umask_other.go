//go:build !unix

package main

// closeToOthers does nothing where there are no modes.
func closeToOthers() {}
