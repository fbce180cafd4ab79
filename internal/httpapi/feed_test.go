package httpapi_test

const feedToken = "feed-token-of-the-tests-0123456789"
