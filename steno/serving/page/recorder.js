// The microphone: samples in blocks, the level, and at the end a recording that can be played.
const MOST_SECONDS = 1800; // what is kept for playing

export class Recorder {
  static async open(onSamples) {
    if (!navigator.mediaDevices) throw new Error("Browsers give the microphone to pages over HTTPS or on localhost only.");
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    const context = new AudioContext();
    await context.audioWorklet.addModule("/capture.js");
    await context.resume();
    return new Recorder(stream, context, onSamples);
  }

  constructor(stream, context, onSamples) {
    this.stream = stream;
    this.context = context;
    this.blocks = [];
    this.length = 0;
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => {
      if (data.last) return this.ended?.();
      if (this.length < MOST_SECONDS * context.sampleRate) {
        this.blocks.push(data.samples);
        this.length += data.samples.length;
      }
      onSamples(data.samples, data.peak);
    };
    this.source.connect(this.node);
  }

  get sampleRate() {
    return this.context.sampleRate;
  }

  // The rest of the sound is handed over before this settles.
  async close() {
    await new Promise((resolve) => {
      this.ended = resolve;
      this.node.port.postMessage("stop");
      setTimeout(resolve, 500);
    });
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
  }

  wav() {
    return wav(this.blocks, this.length, this.context.sampleRate);
  }
}

// A peak on a meter: from -60 dB to full scale, as ears have it.
export const loudness = (peak) => Math.max(0, 1 + (20 * Math.log10(peak + 1e-6)) / 60);

export function pcm16(samples) {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) out[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  return out;
}

function wav(blocks, length, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, value) => [...value].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, 2 * length, true);
  return new Blob([head, ...blocks.map(pcm16)], { type: "audio/wav" });
}
