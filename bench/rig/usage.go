package rig

import "time"

// Usage is processor time, user and system, counted from some moment in the past: only the difference of
// two says anything.
type Usage struct {
	At        time.Time
	Generator time.Duration // this process
	Server    time.Duration // the server's own process
	Engine    time.Duration // its children: the embedded ClickHouse
	Busy      time.Duration // all processors of the machine, whoever they worked for
	Stolen    time.Duration // taken by the hypervisor for others
	Cores     int
}

// Spent is what was used between two samples of one server.
type Spent struct {
	Wall, Generator, Server, Engine, Other, Idle, Stolen time.Duration
	Cores                                                int
}

// Since gives the difference to an earlier sample. Other is what the machine did for none of the three; it
// should be near nothing, or the machine was shared.
func (u Usage) Since(from Usage) Spent {
	s := Spent{
		Wall: u.At.Sub(from.At), Cores: u.Cores,
		Generator: u.Generator - from.Generator,
		Server:    u.Server - from.Server,
		Engine:    max(0, u.Engine-from.Engine), // an engine that was restarted starts again from 0
		Stolen:    u.Stolen - from.Stolen,
	}
	s.Other = max(0, u.Busy-from.Busy-s.Generator-s.Server-s.Engine)
	s.Idle = max(0, s.Wall*time.Duration(s.Cores)-(u.Busy-from.Busy)-s.Stolen)
	return s
}

// Share is d as a part of everything the processors could have done.
func (s Spent) Share(d time.Duration) float64 {
	if s.Wall <= 0 || s.Cores == 0 {
		return 0
	}
	return float64(d) / float64(s.Wall) / float64(s.Cores)
}
