package users_test

import (
	"testing"

	"github.com/tacet-dev/tacet/examples/internal/exampletest"
)

func TestUsers(t *testing.T) { exampletest.Users(t, "java", "Users.java") }
