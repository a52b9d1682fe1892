/** Sentences of reviews by language and tone. `{a}` is an aspect of the category, `{n}` the kind of item. */
export interface Phrases {
  readonly titles: readonly string[];
  readonly openers: readonly string[];
  readonly details: readonly string[];
  readonly closers: readonly string[];
}
export type Tone = 'bad' | 'mixed' | 'good';

const ENGLISH: Readonly<Record<Tone, Phrases>> = {
  good: {
    titles: ['Love it', 'Highly recommended', 'Exactly what I wanted', 'Great buy', 'Better than expected', 'Will buy again'],
    openers: [
      'I am really happy with this {n}.',
      'This {n} is wonderful.',
      'Bought this {n} for my sister and she adores it.',
      'What a lovely {n}.',
      'After two weeks of daily use I can only praise this {n}.',
      'Arrived quickly and looks great.',
    ],
    details: [
      'The {a} is excellent.',
      'I was surprised by how good the {a} is.',
      'The {a} could not be better.',
      'Compared with my old one the {a} is a big step up.',
      'Everyone asks me about the {a}.',
      'Even the {a} feels well made.',
    ],
    closers: [
      'Worth every cent.',
      'I would order it again.',
      'Five stars from me.',
      'Already recommended it to friends.',
      'No complaints at all.',
      '',
    ],
  },
  mixed: {
    titles: ['It is okay', 'Not bad', 'Good with flaws', 'Decent', 'Mixed feelings', 'Does its job'],
    openers: [
      'This {n} is all right for the price.',
      'I have mixed feelings about this {n}.',
      'The {n} does what it should, no more.',
      'Nothing special, but usable.',
      'I expected a little more of this {n}.',
    ],
    details: [
      'The {a} is fine, though not great.',
      'I like the look, but the {a} lets it down a bit.',
      'The {a} is average.',
      'The {a} took some getting used to.',
      'Good idea, only the {a} needs work.',
    ],
    closers: ['I will keep it.', 'Three stars seem fair.', 'Maybe wait for a sale.', 'It will do for now.', ''],
  },
  bad: {
    titles: ['Disappointed', 'Do not buy', 'Sent it back', 'Poor quality', 'Waste of money', 'Not as described'],
    openers: [
      'I regret buying this {n}.',
      'This {n} is not worth the money.',
      'Very disappointed with this {n}.',
      'The {n} broke after a few days.',
      'It looked much better in the pictures.',
      'I wanted to like this {n}, but no.',
    ],
    details: [
      'The {a} is terrible.',
      'The {a} is far worse than described.',
      'I had trouble with the {a} from the first day.',
      'The {a} feels cheap.',
      'Nobody seems to have checked the {a}.',
      'The {a} ruined it for me.',
    ],
    closers: ['I returned it.', 'Never again.', 'Save your money.', 'One star is too many.', 'Customer service did not help either.', ''],
  },
};

const GERMAN: Readonly<Record<Tone, Phrases>> = {
  good: {
    titles: ['Sehr zufrieden', 'Klare Empfehlung', 'Toller Kauf'],
    openers: ['Ich bin begeistert von diesem Artikel.', 'Schnell geliefert und genau wie beschrieben.', 'Ein wunderbares Geschenk.'],
    details: ['Die Qualität ist ausgezeichnet.', 'Besser als erwartet, auch nach Wochen.', 'Alles sauber verarbeitet.'],
    closers: ['Gerne wieder.', 'Fünf Sterne.', ''],
  },
  mixed: {
    titles: ['Ganz in Ordnung', 'Geht so', 'Gemischte Gefühle'],
    openers: ['Für den Preis in Ordnung.', 'Ich hatte etwas mehr erwartet.', 'Tut, was es soll.'],
    details: ['Die Qualität ist mittelmäßig.', 'Schön, aber nicht ganz ausgereift.', 'Man gewöhnt sich daran.'],
    closers: ['Ich behalte es.', 'Drei Sterne.', ''],
  },
  bad: {
    titles: ['Enttäuscht', 'Nicht zu empfehlen', 'Zurückgeschickt'],
    openers: ['Leider ein Fehlkauf.', 'Nach wenigen Tagen kaputt.', 'Auf den Bildern sah es viel besser aus.'],
    details: ['Die Qualität ist schlecht.', 'Wirkt billig und stinkt.', 'Entspricht nicht der Beschreibung.'],
    closers: ['Nie wieder.', 'Schade um das Geld.', ''],
  },
};

const FRENCH: Readonly<Record<Tone, Phrases>> = {
  good: {
    titles: ['Très satisfaite', 'Je recommande', 'Parfait'],
    openers: ['Je suis ravie de mon achat.', 'Livraison rapide, article conforme.', 'Un très beau produit.'],
    details: ['La qualité est excellente.', 'Encore mieux que sur les photos.', 'Les finitions sont soignées.'],
    closers: ['Je recommande vivement.', 'Cinq étoiles.', ''],
  },
  mixed: {
    titles: ['Correct', 'Sans plus', 'Avis partagé'],
    openers: ['Correct pour le prix.', "Je m'attendais à mieux.", 'Fait le travail.'],
    details: ['La qualité est moyenne.', 'Joli mais un peu fragile.', "Il faut s'y habituer."],
    closers: ['Je le garde.', 'Trois étoiles.', ''],
  },
  bad: {
    titles: ['Déçue', 'À éviter', 'Renvoyé'],
    openers: ['Très déçue de cet achat.', 'Cassé au bout de trois jours.', 'Rien à voir avec la photo.'],
    details: ['La qualité est mauvaise.', 'Fait bas de gamme.', 'Ne correspond pas à la description.'],
    closers: ['Plus jamais.', "De l'argent perdu.", ''],
  },
};

const SPANISH: Readonly<Record<Tone, Phrases>> = {
  good: {
    titles: ['Muy contenta', 'Lo recomiendo', 'Perfecto'],
    openers: ['Estoy encantada con la compra.', 'Llegó rápido y en perfecto estado.', 'Es precioso.'],
    details: ['La calidad es excelente.', 'Mejor de lo que esperaba.', 'Muy bien acabado.'],
    closers: ['Repetiré seguro.', 'Cinco estrellas.', ''],
  },
  mixed: {
    titles: ['Está bien', 'Normal', 'Ni fu ni fa'],
    openers: ['Está bien por el precio.', 'Esperaba algo más.', 'Cumple su función.'],
    details: ['La calidad es normal.', 'Bonito pero algo frágil.', 'Podría ser mejor.'],
    closers: ['Me lo quedo.', 'Tres estrellas.', ''],
  },
  bad: {
    titles: ['Decepcionada', 'No lo compréis', 'Devuelto'],
    openers: ['Muy decepcionada con este producto.', 'Se rompió a los pocos días.', 'No se parece a la foto.'],
    details: ['La calidad es pésima.', 'Parece muy barato.', 'No coincide con la descripción.'],
    closers: ['Nunca más.', 'Dinero tirado.', ''],
  },
};

/** The language of a country's reviewers, where it is not English. */
export const REVIEW_LANGUAGES: Readonly<Record<string, Readonly<Record<Tone, Phrases>>>> = { DE: GERMAN, AT: GERMAN, FR: FRENCH, ES: SPANISH };
export const REVIEW_ENGLISH = ENGLISH;
