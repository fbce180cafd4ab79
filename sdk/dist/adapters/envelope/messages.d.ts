/** The SDK's own texts, by code. */
export declare const messages: {
    readonly [locale: string]: {
        readonly [code: string]: string;
    };
};
/** The catalogue of this language, or of another with the same beginning, or nothing. */
export declare const inLanguage: <T>(all: {
    readonly [locale: string]: T;
} | undefined, locale: string) => T | undefined;
