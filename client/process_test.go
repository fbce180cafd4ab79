package client_test

const childEnv = "TACET_CLIENT_TEST_CHILD"

func child() int { return 0 }
