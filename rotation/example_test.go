package rotation_test

import (
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// One renewal, from the presented string to the answer. A real server loads the
// state from its store, applies a moved head with a compare-and-swap, draws tags
// from crypto/rand and reads a clock.
func Example() {
	key := rotation.Key{ID: 1, Secret: [32]byte{ /* 32 random bytes */ }}
	keys := func(id rotation.KeyID) (rotation.Key, bool) { return key, id == key.ID }
	policy := rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}
	signIn := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

	// Sign-in: a root that nobody presents, and its first child for the client.
	session := rotation.SessionID{1}
	state := rotation.State{Head: rotation.Root(rotation.Tag{10}), HeadAt: signIn, CreatedAt: signIn}
	cookie := rotation.Seal(key, rotation.Child(session, state.Head, rotation.Tag{11}))

	// Renewal.
	now := signIn.Add(15 * time.Minute)
	token, err := rotation.Open(keys, cookie)
	if err != nil {
		fmt.Println(err)
		return
	}
	decision := rotation.Decide(state, token, policy, now)
	fmt.Println(decision.Outcome, "writes:", decision.Outcome.Moves())
	state.Head, state.HeadAt = decision.Head, now
	lost := rotation.Seal(key, rotation.Child(session, decision.Head, rotation.Tag{12}))
	_ = lost // the answer never arrives

	// The client tries again with what it has.
	decision = rotation.Decide(state, token, policy, now.Add(time.Hour))
	fmt.Println(decision.Outcome, "writes:", decision.Outcome.Moves())
	// Output:
	// advanced writes: true
	// retried writes: false
}

// A thief and his victim hold the same token. Whoever comes second with a child
// of it gives the theft away.
func ExampleDecide_fork() {
	policy := rotation.Policy{Overlap: 10 * time.Second}
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	head := rotation.Head{Generation: 7, Tag: rotation.Tag{7}, Parent: rotation.Tag{6}}
	state := rotation.State{Head: head, HeadAt: now, CreatedAt: now}
	thief := rotation.Child(rotation.SessionID{}, head, rotation.Tag{81})
	victim := rotation.Child(rotation.SessionID{}, head, rotation.Tag{82})

	now = now.Add(15 * time.Minute)
	d := rotation.Decide(state, thief, policy, now)
	fmt.Println("thief: ", d.Outcome)
	state.Head, state.HeadAt = d.Head, now

	now = now.Add(15 * time.Minute)
	fmt.Println("victim:", rotation.Decide(state, victim, policy, now).Outcome)
	// Output:
	// thief:  advanced
	// victim: reuse_detected
}

// A store takes the common case in one conditional write, without reading first.
func ExampleExpect() {
	policy := rotation.Policy{Idle: time.Hour}
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	state := rotation.State{Head: rotation.Root(rotation.Tag{1}), HeadAt: now, CreatedAt: now}
	token := rotation.Child(rotation.SessionID{}, state.Head, rotation.Tag{2})

	condition, ok := rotation.Expect(token, policy, now)
	fmt.Println(ok, condition.Holds(state))

	condition, _ = rotation.Expect(token, policy, now.Add(time.Hour))
	fmt.Println("an hour later:", condition.Holds(state))
	// Output:
	// true true
	// an hour later: false
}

func ExampleOpen() {
	key := rotation.Key{ID: 1}
	keys := func(id rotation.KeyID) (rotation.Key, bool) { return key, id == key.ID }
	s := rotation.Seal(key, rotation.Token{Generation: 3})

	token, err := rotation.Open(keys, s)
	fmt.Println(token.Generation, err)
	_, err = rotation.Open(keys, s[:len(s)-1]+"x")
	fmt.Println(err)
	// Output:
	// 3 <nil>
	// rotation: not an authentic refresh token
}

func ExamplePolicy_ExpiresAt() {
	signIn := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	state := rotation.State{HeadAt: signIn.Add(30 * time.Minute), CreatedAt: signIn}
	fmt.Println(rotation.Policy{Idle: time.Hour, Absolute: 8 * time.Hour}.ExpiresAt(state).Format(time.TimeOnly))
	fmt.Println(rotation.Policy{}.ExpiresAt(state).IsZero())
	// Output:
	// 10:30:00
	// true
}
