package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// ErrMissing means that libchdb.so is nowhere [Find] looks. Its text says how to get it.
var ErrMissing = errors.New("the embedded ClickHouse is not installed: run `npm ci --prefix storage/engine`" +
	" in the source folder, or set " + EnvLib + " to the path of libchdb.so," +
	" or configure the address of a ClickHouse server")

// EnvLib names the environment variable with the path of libchdb.so.
const EnvLib = "CONSENTD_ENGINE_LIB"

const libName = "libchdb.so" // on macOS too

// Find returns the absolute path of the engine's library. It takes lib if given, else EnvLib if set, and a
// path given either way must exist. Else it looks beside the executable and then, from the working folder
// and from the executable's folder upward, for the npm package under storage/engine/node_modules or
// node_modules. Not found is [ErrMissing].
func Find(lib string) (string, error) {
	if lib == "" {
		lib = os.Getenv(EnvLib)
	}
	if lib != "" {
		if !isFile(lib) {
			return "", fmt.Errorf("%s: no such file: %w", lib, ErrMissing)
		}
		return filepath.Abs(lib)
	}
	for _, path := range candidates() {
		if isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s/%s: %w", runtime.GOOS, runtime.GOARCH, ErrMissing)
}

func candidates() []string {
	var paths, starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if exe, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(exe))
		paths = append(paths, filepath.Join(filepath.Dir(exe), libName))
	}
	pkg := npmPackage(runtime.GOOS, runtime.GOARCH)
	if pkg == "" {
		return paths
	}
	for _, dir := range starts {
		for {
			paths = append(paths,
				filepath.Join(dir, "storage", "engine", "node_modules", pkg, libName),
				filepath.Join(dir, "node_modules", pkg, libName))
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	return paths
}

// npmPackage names the package that carries the library for a platform, empty where there is none. The
// names and versions are those of package.json.
func npmPackage(goos, goarch string) string {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return "@chdb/lib-linux-x64-gnu"
	case "linux/arm64":
		return "@chdb/lib-linux-arm64-gnu"
	case "darwin/amd64":
		return "@chdb/lib-darwin-x64"
	case "darwin/arm64":
		return "@chdb/lib-darwin-arm64"
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
