/** Reads an event stream (HTML standard §9.2) to its end; `chunk` is called whenever something has come. */
export const readEvents = async (stream, chunk, block) => {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (let r; !(r = await reader.read()).done;) {
        chunk();
        const blocks = (text + r.value).split(/\r?\n\r?\n/);
        text = blocks.pop();
        for (const b of blocks)
            block(Object.fromEntries(b.split(/\r?\n/).map((l) => /^([^:]*):? ?(.*)$/.exec(l).slice(1))));
    }
};
