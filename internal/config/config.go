// Package config brings settings from the environment and from one YAML file to
// the command line: flags win over TACET_… variables, these over the file, the
// file over defaults. Every setting has one name in all three.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/tacet-dev/tacet/internal/suggest"
)

// EnvName is the variable of a flag: "access-ttl" is TACET_ACCESS_TTL.
func EnvName(flag string) string {
	return "TACET_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Env resolves flags from the environment.
func Env(lookup func(string) (string, bool)) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if flag.Name == "help" || flag.Name == "version" {
			return nil, nil
		}
		if v, ok := lookup(EnvName(flag.Name)); ok {
			return v, nil
		}
		return nil, nil
	})
}

// CheckEnv reports TACET_… variables that no setting reads: a misspelt variable
// must not be silently without effect.
func CheckEnv(environ []string, known []string) error {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = EnvName(k)
	}
	var errs []error
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "TACET_") || slices.Contains(names, name) {
			continue
		}
		errs = append(errs, fmt.Errorf("environment variable %s is not a setting%s", name, suggest.DidYouMean(name, names)))
	}
	return errors.Join(errs...)
}

// File is a configuration file that was read.
type File struct {
	path   string
	values map[string]*yaml.Node
}

// Read reads a YAML file of "name: value" lines, where lists may be written as
// lists. An unknown name is an error that names file and line.
func Read(path string, known []string) (*File, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration file %s does not exist: give the right path with --config", path)
	case err != nil:
		return nil, fmt.Errorf("configuration file %s can't be read: %w", path, err)
	}
	f := &File{path: path, values: map[string]*yaml.Node{}}
	return f, f.parse(data, known)
}

func (f *File) parse(data []byte, known []string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("configuration file %s is not valid YAML: %s", f.path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil // empty
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: the file must be a list of \"name: value\" lines", f.path, root.Line)
	}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !slices.Contains(known, key.Value) {
			errs = append(errs, fmt.Errorf("%s:%d: %q is not a setting%s", f.path, key.Line, key.Value, suggest.DidYouMean(key.Value, known)))
			continue
		}
		f.values[key.Value] = value
	}
	return errors.Join(errs...)
}

// Resolver resolves flags from the file.
func (f *File) Resolver() kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		node, ok := f.values[flag.Name]
		if !ok {
			return nil, nil
		}
		separator := ","
		if flag.Tag != nil && flag.Tag.Sep > 0 {
			separator = string(flag.Tag.Sep)
		}
		v, err := text(node, separator)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", f.path, node.Line, err)
		}
		if flag.Tag != nil && flag.Tag.Type == "path" {
			v = f.relative(v)
		}
		return v, nil
	})
}

// relative is a path of the file, which counts from the file's directory: the
// program may have been started anywhere. ~ is the user's home, as on the command
// line.
func (f *File) relative(path string) string {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "~") {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

// text is a value as it would stand on the command line.
func text(n *yaml.Node, separator string) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, separator) {
				return "", fmt.Errorf("the items of a list must be plain values without %q", separator)
			}
			parts[i] = item.Value
		}
		return strings.Join(parts, separator), nil
	}
	return "", errors.New("want a plain value or a list of plain values")
}
