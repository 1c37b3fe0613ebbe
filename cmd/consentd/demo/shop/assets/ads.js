// Stands for an advertising tag: it runs only once its purpose is consented to.
document.cookie = '_gcl_au=demo;path=/;samesite=lax';
document.dispatchEvent(new CustomEvent('demo:script', { detail: 'ads' }));
