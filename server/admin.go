package server

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin serves /metrics, /healthz, /readyz, /preview/{site} and /debug/pprof. It asks nobody who they are and looks at no
// Host header: whoever mounts it does, and it belongs on a loopback address or a private network.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.opt.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", s.adminHealthz)
	mux.HandleFunc("GET /readyz", s.adminReadyz)
	mux.HandleFunc("GET /preview/{site}", s.preview)
	mux.HandleFunc("GET /preview/{site}/{part...}", s.preview)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", noCommandLine)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// noCommandLine stands where pprof would show the arguments of the program: passwords are among them.
func noCommandLine(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the command line is not shown here: it may hold passwords", http.StatusNotFound)
}
