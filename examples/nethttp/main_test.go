package main

import (
	"testing"

	"github.com/tacet-dev/tacet/examples/internal/exampletest"
)

func TestAPI(t *testing.T) { exampletest.API(t, serve) }
