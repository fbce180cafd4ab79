package verify

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire"
)

var (
	errUnbound       = errors.New("verify: the access token is not bound to the key that the request is encrypted with")
	errUnsealable    = errors.New("verify: the response cannot be encrypted")
	errResponseLarge = errors.New("verify: the response is too large to be encrypted")
)

// encryptionRefusals says what the errors of encrypted bodies look like from
// outside.
var encryptionRefusals = []struct {
	err    error
	status int
	code   string
	text   message
}{
	{ErrEncryptionRequired, http.StatusUnsupportedMediaType, wire.CodeEncryptionRequired, message{
		"This request must come encrypted: its access token was issued for encrypted requests, or this address takes no others. Nothing was done.",
		"此请求必须加密：其访问令牌仅用于加密请求，或此地址只接受加密请求。未作任何处理。"}},
	{seal.ErrKey, http.StatusBadRequest, wire.CodeEncryptionKey, message{
		"The request is encrypted under a key that is not in use here, or that is not the key of its access token. Read the key set again and agree anew. Nothing was done.",
		"请求所用的加密密钥在此处无效，或与访问令牌的密钥不符。请重新读取密钥集并重新协商。未作任何处理。"}},
	{errUnbound, http.StatusBadRequest, wire.CodeEncryptionKey, message{
		"The access token is not bound to the key that the request is encrypted with. Get one that is from the session server (POST /auth/encryption). Nothing was done.",
		"访问令牌未绑定到加密此请求的密钥。请从会话服务器获取（POST /auth/encryption）。未作任何处理。"}},
	{seal.ErrStale, http.StatusBadRequest, wire.CodeEncryptionStale, message{
		"The request was encrypted too long ago, or the clocks differ; the header Date has this server's time. Encrypt it anew. Nothing was done.",
		"请求加密的时间过早，或时钟不一致；响应头 Date 为服务器时间。请重新加密。未作任何处理。"}},
	{seal.ErrReplayed, http.StatusConflict, wire.CodeEncryptionReplayed, message{
		"A request with this sequence number was received before. It is not taken a second time.",
		"已接收过具有此序号的请求，不会重复处理。"}},
	{seal.ErrTooLarge, http.StatusRequestEntityTooLarge, wire.CodeTooLarge, message{
		"The encrypted body holds more than this server takes. Nothing was done.",
		"加密的请求体超出此服务器的上限。未作任何处理。"}},
	{seal.ErrAlgorithm, http.StatusBadRequest, wire.CodeEncryptionInvalid, message{
		"The request is encrypted in another way than alg dir with enc A256GCM, without zip and crit. Nothing was done.",
		"请求的加密方式须为 alg dir 与 enc A256GCM，且不含 zip 与 crit。未作任何处理。"}},
	{seal.ErrBinding, http.StatusBadRequest, wire.CodeEncryptionInvalid, message{
		"The content was encrypted for another method or path than it came with. If a proxy changes paths, the server must be told. Nothing was done.",
		"内容是为其他方法或路径加密的。若代理改写了路径，须在服务器上配置。未作任何处理。"}},
	{seal.ErrDecrypt, http.StatusBadRequest, wire.CodeEncryptionInvalid, message{
		"The request was changed on its way, or is encrypted under another key than it says. Nothing was done.",
		"请求在传输途中被更改，或并非以其声明的密钥加密。未作任何处理。"}},
	{seal.ErrMalformed, http.StatusBadRequest, wire.CodeEncryptionInvalid, message{
		"The encrypted request is not complete, or not in the form that this server takes (a compact JWE). Nothing was done.",
		"加密的请求不完整，或格式不符（应为紧凑序列化的 JWE）。未作任何处理。"}},
	{errResponseLarge, http.StatusInternalServerError, wire.CodeEncryptionUnsupported, message{
		"The response is larger than this server encrypts. What was asked for has been done.",
		"响应超出此服务器的加密上限。所请求的操作已经完成。"}},
	{errUnsealable, http.StatusInternalServerError, wire.CodeEncryptionUnsupported, message{
		"The response is a stream or compressed, which cannot be encrypted. Ask for it without encryption, if that is allowed. What was asked for may have been done.",
		"响应为数据流或已压缩，无法加密。如果允许，请以非加密方式请求。所请求的操作可能已经完成。"}},
}

// sealedWriter holds a response back until it is whole.
type sealedWriter struct {
	http.ResponseWriter
	max    int64
	status int
	body   bytes.Buffer
	failed error
	cancel context.CancelFunc // of the request
}

// run calls the handler. One whose response cannot be encrypted is told to stop,
// and may take that as a broken connection (httputil.ReverseProxy does).
func (w *sealedWriter) run(next http.Handler, r *http.Request) {
	defer func() {
		if v := recover(); v != nil && (v != http.ErrAbortHandler || w.failed == nil) {
			panic(v)
		}
	}()
	next.ServeHTTP(w, r)
}

func (w *sealedWriter) fail(err error) {
	w.failed = err
	w.cancel()
}

// Unwrap is for http.ResponseController: deadlines.
func (w *sealedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is there so that nothing is sent before its time.
func (w *sealedWriter) Flush() {}

// WriteHeader takes the status down. Interim responses (1xx) are left out.
func (w *sealedWriter) WriteHeader(status int) {
	if w.status != 0 || status >= 100 && status < 200 {
		return
	}
	w.status = status
	h := w.Header()
	stream, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	encoding := h.Get("Content-Encoding")
	if strings.EqualFold(strings.TrimSpace(stream), "text/event-stream") || encoding != "" && !strings.EqualFold(encoding, "identity") {
		w.fail(errUnsealable)
	}
}

// Write keeps the body. The error ends handlers that would go on for ever.
func (w *sealedWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.failed == nil && int64(w.body.Len()+len(p)) > w.max {
		w.body = bytes.Buffer{}
		w.fail(errResponseLarge)
	}
	if w.failed != nil {
		return 0, w.failed
	}
	return w.body.Write(p)
}

// finish encrypts the response and sends it.
func (w *sealedWriter) finish(e *Encryption, in *opened) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if err := w.failed; err != nil {
		*w = sealedWriter{ResponseWriter: w.ResponseWriter, max: w.max, cancel: w.cancel}
		w.Header().Del("Content-Encoding")
		w.Header().Set("Content-Type", "")
		e.c.Verifier.WriteError(w, in.request, err)
	}
	h := w.Header()
	contentType := h.Get("Content-Type")
	if contentType == "" && w.body.Len() > 0 {
		contentType = http.DetectContentType(w.body.Bytes())
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Trailer"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store") // it is a response to this request alone
	empty := in.request.Method == http.MethodHead || w.status == http.StatusNoContent || w.status == http.StatusNotModified
	content := w.body.Bytes()
	if empty {
		content = nil
	}
	message, err := in.keys.SealResponse(seal.Header{
		KeyID: in.header.KeyID, ContentType: contentType, Method: in.header.Method, Path: in.header.Path,
		Status: w.status, Sequence: in.header.Sequence, Time: e.c.Verifier.now().UnixMilli(),
	}, content)
	if err != nil { // a Content-Type beyond all measure
		panic(err)
	}
	if empty {
		h.Set(wire.HeaderSeal, string(message))
		w.ResponseWriter.WriteHeader(w.status)
		return
	}
	h.Set("Content-Type", wire.ContentTypeJOSE)
	h.Set("Content-Length", strconv.Itoa(len(message)))
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(message) // the caller may be gone
}
