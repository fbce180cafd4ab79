/** One block of an event stream: its fields, by name. */
export type Block = Readonly<Record<string, string>>;
/** Reads an event stream (HTML standard §9.2) to its end; `chunk` is called whenever something has come. */
export declare const readEvents: (stream: ReadableStream<Uint8Array>, chunk: () => void, block: (b: Block) => void) => Promise<void>;
