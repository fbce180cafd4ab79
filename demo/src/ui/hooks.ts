import { useEffect, useReducer } from 'preact/hooks';
import type { Lab } from '../lab';

/** Draws again after changes, once per frame at most. */
export function useLab(lab: Lab): void {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    let frame = 0;
    const stop = lab.subscribe(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        draw(undefined);
      });
    });
    draw(undefined); // what changed between the first drawing and now
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [lab]);
}

/** Draws again and again while something moves. */
export function useTicker(running: boolean, ms: number): void {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => draw(undefined), ms);
    return () => clearInterval(timer);
  }, [running, ms]);
}
