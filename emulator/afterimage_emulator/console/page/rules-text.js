// The rules' text by characters, as the suite counts them; a string here counts UTF-16 units.
export class CharacterPlaces {
  #text;
  #starts = null;

  constructor(text) {
    this.#text = text;
    const characters = [...text];
    if (characters.length === text.length) return;
    this.#starts = [0];
    for (const character of characters) this.#starts.push(this.#starts.at(-1) + character.length);
  }

  unit(offset) {
    return this.#starts === null ? offset : this.#starts[offset];
  }

  slice(start, end) {
    return this.#text.slice(this.unit(start), this.unit(end));
  }
}
